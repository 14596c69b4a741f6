import { Trans, useLingui } from '@lingui/react/macro';
import { Link, Outlet, useLocation } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import { useConnection } from '../api/connection';
import { useSession, useSessionRenewal, type SessionView } from '../api/session';
import { forgetRestores } from '../restore/asked';
import { RestoreNews } from '../restore/RestoreNews';
import { LiveRegion } from '../ui/announce';
import { Status } from '../ui/Status';
import { VisitNotice } from '../visits/VisitNotice';
import { AccountMenu } from './AccountMenu';
import { ThemeButton } from './ThemeButton';

/** After a dialog closed: it would take the focus back to its opener otherwise. */
const FOCUS_AFTER_MS = 60;

function Umbrella() {
  return (
    <svg className="umbrella" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
      <path d="M16 3v2" stroke="currentColor" strokeWidth="2.5" strokeLinecap="round" />
      <path d="M3 17.5a13 13 0 0 1 26 0c-2-1.8-4.4-1.8-6.5 0-2-1.8-4.4-1.8-6.5 0-2-1.8-4.4-1.8-6.5 0-2-1.8-4.4-1.8-6.5 0z" fill="currentColor" />
      <path d="M16 17v8.5a2.8 2.8 0 0 0 5.6 0" fill="none" stroke="currentColor" strokeWidth="2.5" strokeLinecap="round" />
    </svg>
  );
}

function MainMenu() {
  const { t } = useLingui();
  return (
    <nav aria-label={t`Main`} className="main-menu">
      <ul>
        <li>
          <Link to="/facilities">
            <Trans>Facilities</Trans>
          </Link>
        </li>
        <li>
          <Link to="/search">
            <Trans>Data</Trans>
          </Link>
        </li>
        <li>
          <Link to="/workspaces">
            <Trans>Workspaces</Trans>
          </Link>
        </li>
      </ul>
    </nav>
  );
}

function SessionStrip({ session }: { session: SessionView }) {
  if (!session.failed) return null;
  return (
    <div className="strip" role="alert">
      <Status tone="warn">
        <Trans>It could not be read whether you are signed in.</Trans>
      </Status>
      <button type="button" className="btn small" onClick={session.again}>
        <Trans>Try again</Trans>
      </button>
    </div>
  );
}

function ConnectionStrip() {
  const lost = useConnection() === 'lost';
  return (
    <div role="status">
      {lost ? (
        <div className="strip">
          <Status tone="warn">
            <Trans>No live updates. Trying to reconnect; what you see may be out of date.</Trans>
          </Status>
        </div>
      ) : null}
    </div>
  );
}

/** Moves the focus to the new page's content, so that keyboard and screen reader start there. */
function useFocusOnNavigation() {
  const { pathname } = useLocation();
  const main = useRef<HTMLElement>(null);
  const last = useRef(pathname);
  useEffect(() => {
    if (last.current === pathname) return;
    last.current = pathname;
    const timer = setTimeout(() => main.current?.focus({ preventScroll: true }), FOCUS_AFTER_MS);
    return () => clearTimeout(timer);
  }, [pathname]);
  return main;
}

/** What every page stands in. */
export function Shell() {
  const session = useSession();
  useSessionRenewal(session.me);
  const main = useFocusOnNavigation();
  const isSignedOut = session.me === null;
  useEffect(() => {
    if (isSignedOut) forgetRestores();
  }, [isSignedOut]);
  return (
    <>
      <a className="skip" href="#main">
        <Trans>Skip to content</Trans>
      </a>
      <header className="top">
        <div className="bar">
          <Link to="/facilities" className="brand" activeProps={{}}>
            <Umbrella />
            <span>Parasol</span>
          </Link>
          <MainMenu />
          <div className="bar-end">
            <ThemeButton />
            <AccountMenu session={session} />
          </div>
        </div>
      </header>
      <div>
        <ConnectionStrip />
        <SessionStrip session={session} />
        {session.me ? <RestoreNews /> : null}
      </div>
      <main id="main" ref={main} tabIndex={-1}>
        <VisitNotice />
        <Outlet />
      </main>
      <footer className="foot">
        <p>
          <Trans>Your data and accounts stay at each facility. The portal only knows whether they are linked.</Trans>
        </p>
        <a href="/graphql">
          <Trans>GraphQL interface</Trans>
        </a>
      </footer>
      <LiveRegion />
    </>
  );
}
