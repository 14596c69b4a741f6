import { Trans, useLingui } from '@lingui/react/macro';
import { useState, useSyncExternalStore } from 'react';
import { useMutation } from 'urql';
import { doc } from '../api/doc';
import type { WholeDataset } from '../search/queries';
import { Notice } from '../ui/Notice';
import { ProblemNotice } from '../ui/ProblemNotice';
import { Status } from '../ui/Status';
import { problemOf, type ProblemData } from '../words/problems';
import { ARCHIVE_STATES } from '../words/states';
import { asked, watchRestore } from './asked';
import { RestoreDataset } from './queries';

const RestoreDocument = doc(RestoreDataset);

type Outcome = { kind: 'none' } | { kind: 'refused'; problem: ProblemData } | { kind: 'waiting' } | { kind: 'unknown' };

/** Where a dataset's data are while they are not on disk, and the way to have them there. Nothing for those that are. */
export function RestorePanel({ dataset }: { dataset: WholeDataset }) {
  const { i18n } = useLingui();
  const [{ fetching }, restore] = useMutation(RestoreDocument);
  const [outcome, setOutcome] = useState<Outcome>({ kind: 'none' });
  const isWatched = useSyncExternalStore(asked.subscribe, asked.get).includes(dataset.id);
  const name = dataset.facility.name;
  const state = dataset.archiveState;
  if (state === 'ONLINE') return null;
  const back = `/datasets/${encodeURIComponent(dataset.id)}`;

  async function press() {
    setOutcome({ kind: 'none' });
    const { data, error } = await restore({ dataset: dataset.id });
    const payload = data?.restoreDataset;
    const problem = payload?.problem ?? problemOf(error);
    if (problem) setOutcome({ kind: 'refused', problem });
    else if (!payload) setOutcome({ kind: 'unknown' });
    else {
      watchRestore(dataset.id);
      setOutcome({ kind: payload.waiting ? 'waiting' : 'none' });
    }
  }

  return (
    <section className="card stack-tight" aria-busy={fetching}>
      <Status tone={ARCHIVE_STATES[state].tone} strong>
        {i18n._(ARCHIVE_STATES[state].text)}
      </Status>
      {state === 'ARCHIVED' && dataset.isRestorable ? (
        <>
          <p>
            <Trans>Its data must be brought back to disk before they can be analysed. That can take from minutes to days.</Trans>
          </p>
          <div className="row">
            <button type="button" className="btn primary" disabled={fetching} onClick={() => void press()}>
              {fetching ? <Trans>Asking …</Trans> : <Trans>Restore</Trans>}
            </button>
          </div>
        </>
      ) : null}
      {state === 'ARCHIVED' && !dataset.isRestorable ? (
        <p>
          <Trans>{name} cannot be asked from here to bring it back; its data portal or user support can help.</Trans>
        </p>
      ) : null}
      {state === 'RESTORING' ? (
        <p>
          <Trans>It can be analysed as soon as it is there. This page shows it by itself.</Trans>{' '}
          {isWatched ? <Trans>You are told on every page of the portal that you look at meanwhile.</Trans> : null}
        </p>
      ) : null}
      {state === 'UNKNOWN' ? (
        <p>
          <Trans>{name} cannot tell whether its data are on disk. It decides when you start from it.</Trans>
        </p>
      ) : null}
      {outcome.kind === 'refused' ? <ProblemNotice problem={outcome.problem} facility={dataset.facility} back={back} urgent /> : null}
      {outcome.kind === 'waiting' ? (
        <Notice tone="unknown" urgent title={<Trans>{name} is not connected at the moment.</Trans>}>
          <Trans>What you asked waits for it, at most ten minutes.</Trans>
        </Notice>
      ) : null}
      {outcome.kind === 'unknown' ? (
        <Notice tone="warn" urgent title={<Trans>The portal did not answer, so it is not known whether the archive was asked.</Trans>}>
          <Trans>Press Restore again; nothing is brought back twice.</Trans>
        </Notice>
      ) : null}
    </section>
  );
}
