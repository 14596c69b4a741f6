import { Trans, useLingui } from '@lingui/react/macro';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useMutation } from 'urql';
import { doc } from '../api/doc';
import { ConnectLink } from '../facilities/ConnectLink';
import { AccountLinkState } from '../facilities/FacilityState';
import { linkMend } from '../facilities/links';
import type { FacilitySummary } from '../facilities/queries';
import { formatLocale } from '../i18n';
import { listed } from '../lib/format';
import { announce } from '../ui/announce';
import { Confirm } from '../ui/Confirm';
import { Notice } from '../ui/Notice';
import { ProblemNotice } from '../ui/ProblemNotice';
import { Ago, Instant } from '../ui/Time';
import { problemOf, type ProblemData } from '../words/problems';
import { SCOPES } from '../words/states';
import { Unlink } from './queries';

const UnlinkDocument = doc(Unlink);

type Failure = { kind: 'problem'; problem: ProblemData } | { kind: 'unreached' };

function GrantLine({ facility }: { facility: FacilitySummary }) {
  const { i18n } = useLingui();
  const link = facility.accountLink;
  const grant = link?.grant;
  if (grant) {
    const scopes = listed(grant.scopes.map((scope) => i18n._(SCOPES[scope])), formatLocale);
    return (
      <Trans>
        The portal may {scopes} until <Instant iso={grant.expiresAt} />.
      </Trans>
    );
  }
  if (link?.state === 'LINKED') return <Trans>The portal may not ask in your name until you sign in there.</Trans>;
  if (link?.state === 'NOT_LINKED') return <Trans>Only open data can be found there.</Trans>;
  if (facility.state === 'OFFLINE') return <Trans>It is not connected, so this cannot be asked now.</Trans>;
  return <Trans>The facility tells once you sign in there.</Trans>;
}

function UnlinkButton({ facility, onFailure }: { facility: FacilitySummary; onFailure: (failure: Failure | null) => void }) {
  const { t } = useLingui();
  const [{ fetching }, unlink] = useMutation(UnlinkDocument);
  const name = facility.name;
  async function confirmed() {
    onFailure(null);
    const { data, error } = await unlink({ facility: facility.id });
    const problem = data?.unlinkAccount.problem ?? problemOf(error);
    if (problem) onFailure({ kind: 'problem', problem });
    else if (error) onFailure({ kind: 'unreached' });
    else if (data?.unlinkAccount.waiting) announce(t`Your account at ${name} will be unlinked as soon as it is connected.`);
    else announce(t`Your account at ${name} is no longer linked.`);
  }
  return (
    <Confirm
      trigger={
        <>
          {fetching ? <Trans>Unlinking …</Trans> : <Trans>Unlink</Trans>}
          <span className="sr-only">
            {' '}
            <Trans>account at {name}</Trans>
          </span>
        </>
      }
      question={<Trans>Unlink your account at {name}?</Trans>}
      action={<Trans>Unlink account</Trans>}
      onConfirm={() => void confirmed()}
    >
      <p>
        <Trans>The portal can no longer search your data or start anything there.</Trans>
      </p>
      <p>
        <Trans>Running workspaces keep running to their end, but you cannot open them unless you link the same account again.</Trans>
      </p>
    </Confirm>
  );
}

/** How one's account stands at one facility, with what can be done about it. */
export function FacilityAccount({ facility }: { facility: FacilitySummary }) {
  const [failure, setFailure] = useState<Failure | null>(null);
  const link = facility.accountLink;
  const mend = linkMend(facility);
  return (
    <li className="account-row">
      <div className="account-text">
        <h3>
          <Link to="/facilities/$slug" params={{ slug: facility.slug }}>
            {facility.name}
          </Link>
        </h3>
        <AccountLinkState state={link?.state ?? 'UNKNOWN'} />
        <p className="muted">
          <GrantLine facility={facility} />{' '}
          {link?.checkedAt ? (
            <Trans>
              Checked <Ago iso={link.checkedAt} />.
            </Trans>
          ) : null}
        </p>
      </div>
      <div className="row">
        {mend !== 'NONE' && facility.state === 'ONLINE' ? (
          <ConnectLink facility={facility} mend={mend} className="btn primary" quietName />
        ) : null}
        {link?.state === 'LINKED' ? <UnlinkButton facility={facility} onFailure={setFailure} /> : null}
      </div>
      {failure?.kind === 'problem' ? <ProblemNotice problem={failure.problem} facility={facility} back="/account" urgent /> : null}
      {failure?.kind === 'unreached' ? (
        <Notice tone="bad" urgent title={<Trans>The portal did not answer, so it is not known whether the account is still linked.</Trans>} />
      ) : null}
    </li>
  );
}
