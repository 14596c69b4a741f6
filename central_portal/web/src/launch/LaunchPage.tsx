import { Trans, useLingui } from '@lingui/react/macro';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { doc } from '../api/doc';
import { useRead } from '../api/read';
import { useFacilities } from '../facilities/useFacilities';
import { DatasetById, datasetIn } from '../search/queries';
import { Notice } from '../ui/Notice';
import { ReadError } from '../ui/ReadError';
import { Skeleton } from '../ui/Skeleton';
import { LaunchLoader } from './LaunchLoader';

const DatasetDocument = doc(DatasetById);

function Elsewhere() {
  return (
    <Notice
      tone="info"
      title={<Trans>This link names no facility that takes part.</Trans>}
      actions={
        <Link className="btn primary" to="/search">
          <Trans>Find data</Trans>
        </Link>
      }
    >
      <Trans>Find a dataset and press Analyse; the workspace starts at the facility that holds it.</Trans>
    </Notice>
  );
}

/** A deep link to a start: it only fills the form. */
export function LaunchPage() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const wish = useSearch({ from: '/launch' });
  const { facilities, data, error, again } = useFacilities();
  const asksDataset = !!wish.dataset && !wish.proposal;
  const found = useRead(DatasetDocument, { id: wish.dataset ?? '' }, !asksDataset);
  const dataset = datasetIn(found.data);
  const facility = facilities.find((each) => each.slug === (wish.facility ?? dataset?.facility.slug));
  const waiting = (!data && !error) || (asksDataset && found.pending);
  // A link may name the dataset alone: its proposal and title then come from its facility.
  const filled = dataset ? { title: dataset.title, ...wish, proposal: [dataset.proposal].filter(Boolean) } : wish;
  return (
    <div className="page narrow-page">
      <title>{t`Start a workspace – Parasol`}</title>
      <h1>{facility ? <Trans>Start a workspace at {facility.name}</Trans> : <Trans>Start a workspace</Trans>}</h1>
      {error && !data ? <ReadError title={<Trans>The facility could not be read just now.</Trans>} again={again} /> : null}
      {waiting ? <Skeleton lines={9} /> : null}
      {data && !waiting && !facility ? <Elsewhere /> : null}
      {facility && !waiting ? (
        <div className="card">
          <LaunchLoader
            facility={facility}
            dataset={wish.dataset}
            wish={filled}
            onStarted={() => void navigate({ to: '/workspaces' })}
          />
        </div>
      ) : null}
    </div>
  );
}
