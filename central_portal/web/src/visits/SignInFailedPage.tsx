import { Trans, useLingui } from '@lingui/react/macro';
import { Link, useSearch } from '@tanstack/react-router';
import { Notice } from '../ui/Notice';
import { SignInLinks } from '../ui/SignInNotice';
import { SIGN_IN_FAILURES } from '../words/problems';

/** Why a sign-in ended without one, and how to begin again. */
export function SignInFailedPage() {
  const { t, i18n } = useLingui();
  const { reason = '' } = useSearch({ from: '/signin/failed' });
  const known = Object.hasOwn(SIGN_IN_FAILURES, reason) ? SIGN_IN_FAILURES[reason as keyof typeof SIGN_IN_FAILURES] : null;
  return (
    <div className="page narrow-page">
      <title>{t`Not signed in – Parasol`}</title>
      <h1>
        <Trans>You are not signed in</Trans>
      </h1>
      <Notice
        tone="warn"
        title={known ? i18n._(known) : <Trans>The sign-in ended without an answer that the portal knows.</Trans>}
        actions={
          <>
            <SignInLinks back="/" />
            <Link className="btn" to="/facilities">
              <Trans>Go on without signing in</Trans>
            </Link>
          </>
        }
      >
        <Trans>Nothing was changed. Facilities and open data can be read without signing in.</Trans>
      </Notice>
    </div>
  );
}
