import { Trans, useLingui } from '@lingui/react/macro';
import { useSession, type Me } from '../api/session';
import { useFacilities } from '../facilities/useFacilities';
import { SignOutButton } from '../shell/AccountMenu';
import { ReadError } from '../ui/ReadError';
import { SignInNotice } from '../ui/SignInNotice';
import { Skeleton } from '../ui/Skeleton';
import { Instant } from '../ui/Time';
import { FacilityAccount } from './FacilityAccount';

function Person({ me, provider }: { me: Me; provider: string }) {
  return (
    <section className="card stack-tight" aria-labelledby="person">
      <div className="card-head">
        <h2 id="person">{me.name}</h2>
        <SignOutButton className="btn" />
      </div>
      <p className="muted">
        <Trans>
          Signed in with {provider} until <Instant iso={me.sessionExpiresAt} />.
        </Trans>{' '}
        <Trans>Signing out also ends what facilities allow the portal to ask.</Trans>
      </p>
    </section>
  );
}

function Links() {
  const { facilities, data, error, pending, again } = useFacilities();
  return (
    <section aria-labelledby="accounts" className="stack">
      <div className="page-head">
        <h2 id="accounts">
          <Trans>Accounts at the facilities</Trans>
        </h2>
        <p className="lead muted">
          <Trans>
            Each facility keeps for itself which account is yours. The portal learns only whether one is linked, never its name.
          </Trans>
        </p>
      </div>
      {error ? <ReadError title={<Trans>Your account links could not be read just now.</Trans>} again={again} /> : null}
      {pending ? <Skeleton lines={6} /> : null}
      {data ? (
        <ul className="account-list card">
          {facilities.map((facility) => (
            <FacilityAccount key={facility.id} facility={facility} />
          ))}
        </ul>
      ) : null}
    </section>
  );
}

function WhatIsSeen() {
  return (
    <section className="card stack-tight" aria-labelledby="seen">
      <h2 id="seen">
        <Trans>What a facility sees</Trans>
      </h2>
      <p>
        <Trans>
          When you sign in there: your identity at your sign-in provider, and the local account that you prove to be yours.
        </Trans>
      </p>
      <p>
        <Trans>While it allows the portal to ask: your searches there, and the workspaces you start there. Nothing goes to other facilities.</Trans>
      </p>
    </section>
  );
}

/** Who is signed in, and a row per facility. */
export function AccountPage() {
  const { t } = useLingui();
  const { me, providers } = useSession();
  const provider = providers.find((each) => each.id === me?.provider)?.title ?? me?.provider ?? '';
  return (
    <div className="page">
      <title>{t`Account – Parasol`}</title>
      <h1>
        <Trans>Account</Trans>
      </h1>
      {me === undefined ? <Skeleton lines={8} /> : null}
      {me === null ? <SignInNotice title={<Trans>Sign in to see your account links.</Trans>} /> : null}
      {me ? (
        <>
          <Person me={me} provider={provider} />
          <Links />
          <WhatIsSeen />
        </>
      ) : null}
    </div>
  );
}
