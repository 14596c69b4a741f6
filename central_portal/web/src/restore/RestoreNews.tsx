import { Trans, useLingui } from '@lingui/react/macro';
import { Link } from '@tanstack/react-router';
import { useEffect, useState, useSyncExternalStore } from 'react';
import { useSubscription } from 'urql';
import { doc } from '../api/doc';
import type { DatasetChangedSubscription } from '../gql/graphql';
import { announce } from '../ui/announce';
import { Status } from '../ui/Status';
import { asked, forgetRestore } from './asked';
import { DatasetChanged } from './queries';

const ChangedDocument = doc(DatasetChanged);
type Changed = DatasetChangedSubscription['datasetChanged'];

/** Watches one dataset until its way back has ended; draws nothing. */
function Watched({ id, ended }: { id: string; ended: (dataset: Changed) => void }) {
  const [{ data, error }] = useSubscription({ query: ChangedDocument, variables: { dataset: id } });
  const dataset = data?.datasetChanged;
  const [began, setBegan] = useState(false);
  const state = dataset?.archiveState;
  useEffect(() => {
    if (state === 'RESTORING') setBegan(true);
    // What waits for its facility is still in the archive: only after it had begun does that mean that it failed.
    else if (dataset && (state === 'ONLINE' || (state === 'ARCHIVED' && began))) ended(dataset);
  }, [state]);
  const refused = error?.graphQLErrors.length;
  useEffect(() => {
    if (refused) forgetRestore(id);
  }, [refused, id]);
  return null;
}

function News({ dataset, dismiss }: { dataset: Changed; dismiss: () => void }) {
  const { t } = useLingui();
  const isThere = dataset.archiveState === 'ONLINE';
  const title = dataset.title;
  const name = dataset.facility.name;
  // Not <Trans>: it would take what looks like markup in a title for its own.
  const said = isThere ? t`${title} is on disk at ${name} now.` : t`${title} did not come back from the archive of ${name}.`;
  useEffect(() => announce(said), [said]);
  return (
    <div className="strip" role="group" aria-label={t`News of a dataset that you had restored`}>
      <Status tone={isThere ? 'ok' : 'bad'}>{said}</Status>
      <Link className="btn small" to="/datasets/$id" params={{ id: dataset.id }} onClick={dismiss}>
        <Trans>Show the dataset</Trans>
      </Link>
      <button type="button" className="btn small" onClick={dismiss}>
        <Trans>Dismiss</Trans>
      </button>
    </div>
  );
}

/** On every page: what this tab's person had restored is watched, and said once it is there or has failed. */
export function RestoreNews() {
  const ids = useSyncExternalStore(asked.subscribe, asked.get);
  const [news, setNews] = useState<readonly Changed[]>([]);
  const ended = (dataset: Changed) => {
    forgetRestore(dataset.id);
    setNews((before) => [...before.filter((each) => each.id !== dataset.id), dataset]);
  };
  return (
    <>
      {ids.map((id) => (
        <Watched key={id} id={id} ended={ended} />
      ))}
      {news.map((dataset) => (
        <News key={dataset.id} dataset={dataset} dismiss={() => setNews((before) => before.filter((each) => each !== dataset))} />
      ))}
    </>
  );
}
