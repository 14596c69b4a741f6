import { Trans } from '@lingui/react/macro';
import { useLocation } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { useSession } from '../api/session';
import { signInPath } from '../lib/paths';
import { Notice } from './Notice';

/** For a page that only a signed-in person has; returns to it afterwards. */
export function SignInNotice({ title, back, children }: { title: ReactNode; back?: string; children?: ReactNode }) {
  const { href } = useLocation();
  return (
    <Notice tone="info" title={title} actions={<SignInLinks back={back ?? href} />}>
      {children}
    </Notice>
  );
}

/** A button for each way to sign in. */
export function SignInLinks({ back }: { back: string }) {
  const { providers } = useSession();
  return providers.map((provider) => (
    <a key={provider.id} className="btn primary" href={signInPath(provider.url, back)}>
      <Trans>Sign in with {provider.title}</Trans>
    </a>
  ));
}
