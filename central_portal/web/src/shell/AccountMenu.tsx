import { Trans, useLingui } from '@lingui/react/macro';
import { Link, useLocation } from '@tanstack/react-router';
import { useEffect, useId, useRef, type ReactNode } from 'react';
import type { SessionView } from '../api/session';
import { signInPath } from '../lib/paths';
import { Glyph } from '../ui/Icon';
import { forgetNews } from './PersonNews';

/** A button that opens a list of links in the browser's own popover: Escape and a press outside close it. */
function Opener({ label, accent, children }: { label: ReactNode; accent?: boolean; children: ReactNode }) {
  const id = useId();
  const popover = useRef<HTMLDivElement>(null);
  const { href } = useLocation();
  useEffect(() => popover.current?.hidePopover?.(), [href]);
  return (
    <div className="opener">
      <button type="button" className={`btn opener-button ${accent ? 'primary' : 'quiet'}`} popoverTarget={id}>
        {label}
        <Glyph name="down" />
      </button>
      <div id={id} ref={popover} popover="auto" className="popover">
        {children}
      </div>
    </div>
  );
}

/** Signing out is a form, so that no other page can do it by a link. */
export function SignOutButton({ className }: { className: string }) {
  return (
    <form method="post" action="/signout" onSubmit={forgetNews}>
      <button type="submit" className={className}>
        <Trans>Sign out</Trans>
      </button>
    </form>
  );
}

function SignIn({ session }: { session: SessionView }) {
  const { href } = useLocation();
  const back = href.startsWith('/sign') ? '/' : href;
  const [only, ...others] = session.providers;
  if (!only) return null;
  if (others.length === 0) {
    return (
      <a className="btn primary" href={signInPath(only.url, back)}>
        <Trans>Sign in</Trans>
      </a>
    );
  }
  return (
    <Opener label={<Trans>Sign in</Trans>} accent>
      <ul className="popover-list">
        {session.providers.map((provider) => (
          <li key={provider.id}>
            <a href={signInPath(provider.url, back)}>
              <Trans>with {provider.title}</Trans>
            </a>
          </li>
        ))}
      </ul>
    </Opener>
  );
}

/** The way in, or who is in. */
export function AccountMenu({ session }: { session: SessionView }) {
  const { t } = useLingui();
  if (session.me === undefined) {
    return <span className="btn quiet placeholder" aria-hidden="true" />;
  }
  if (session.me === null) return <SignIn session={session} />;
  const label = (
    <>
      <Glyph name="person" />
      <span className="sr-only">{t`Account of`} </span>
      <span className="name">{session.me.name}</span>
    </>
  );
  return (
    <Opener label={label}>
      <ul className="popover-list">
        <li>
          <Link to="/account">
            <Trans>Account</Trans>
          </Link>
        </li>
        <li>
          <SignOutButton className="popover-item" />
        </li>
      </ul>
    </Opener>
  );
}
