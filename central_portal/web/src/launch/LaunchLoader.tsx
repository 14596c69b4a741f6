import { Trans } from '@lingui/react/macro';
import { doc } from '../api/doc';
import { useRead } from '../api/read';
import { FacilityDetails } from '../facilities/queries';
import type { LaunchAddress } from '../lib/address';
import { Notice } from '../ui/Notice';
import { ReadError } from '../ui/ReadError';
import { Skeleton } from '../ui/Skeleton';
import { firstChoice } from './choice';
import { LaunchForm } from './LaunchForm';
import { lastEnvironment } from './memory';

const DetailsDocument = doc(FacilityDetails);

interface LaunchLoaderProps {
  facility: { id: string; slug: string; name: string };
  /** Global id. */
  dataset?: string;
  wish: LaunchAddress;
  onStarted: () => void;
  onCancel?: () => void;
}

/** Reads what the facility offers, then shows the form. */
export function LaunchLoader({ facility, dataset, wish, onStarted, onCancel }: LaunchLoaderProps) {
  const { data, error, again } = useRead(DetailsDocument, { id: facility.id });
  const offered = data?.facility;
  if (!offered) {
    return error ? (
      <ReadError title={<Trans>What {facility.name} offers could not be read just now.</Trans>} again={again} />
    ) : (
      <div aria-busy="true">
        <Skeleton lines={9} className="" />
      </div>
    );
  }
  const first = firstChoice(offered, wish, lastEnvironment(facility.slug));
  if (!first) {
    return (
      <Notice tone="info" title={<Trans>{facility.name} offers nothing to start at the moment.</Trans>}>
        <Trans>Its data can be searched all the same.</Trans>
      </Notice>
    );
  }
  return <LaunchForm facility={offered} dataset={dataset} first={first} onStarted={onStarted} onCancel={onCancel} />;
}
