import { Trans, useLingui } from '@lingui/react/macro';
import { Link } from '@tanstack/react-router';
import { Notice } from '../ui/Notice';
import { SignInLinks } from '../ui/SignInNotice';

/** The end of a sign-out. */
export function SignedOutPage() {
  const { t } = useLingui();
  return (
    <div className="page narrow-page">
      <title>{t`Signed out – Parasol`}</title>
      <h1>
        <Trans>You are signed out</Trans>
      </h1>
      <Notice
        tone="ok"
        title={<Trans>The portal can no longer ask any facility in your name.</Trans>}
        actions={
          <>
            <SignInLinks back="/" />
            <Link className="btn" to="/facilities">
              <Trans>Show facilities</Trans>
            </Link>
          </>
        }
      >
        <Trans>Running workspaces keep running to their end.</Trans>
      </Notice>
    </div>
  );
}
