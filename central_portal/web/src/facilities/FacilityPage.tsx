import { Trans, useLingui } from '@lingui/react/macro';
import { Link, useParams } from '@tanstack/react-router';
import { doc } from '../api/doc';
import { useRead } from '../api/read';
import { formatLocale } from '../i18n';
import { placeName } from '../lib/format';
import { Missing } from '../shell/fallbacks';
import { Notice } from '../ui/Notice';
import { ReadError } from '../ui/ReadError';
import { Skeleton } from '../ui/Skeleton';
import { LongSince } from '../ui/Time';
import { AccountPanel, CapabilitiesPanel, LinksPanel } from './panels';
import { EnvironmentCard } from './EnvironmentCard';
import { FacilityState } from './FacilityState';
import { FacilityDetails, type FacilityFull } from './queries';
import { useFacilities } from './useFacilities';

const DetailsDocument = doc(FacilityDetails);

function Environments({ facility }: { facility: FacilityFull }) {
  return (
    <section aria-labelledby="environments" className="stack">
      <h2 id="environments">
        <Trans>Environments</Trans>
      </h2>
      {facility.environments.length === 0 ? (
        <Notice tone="info" title={<Trans>{facility.name} offers no environment at the moment.</Trans>}>
          <Trans>Its data can be searched all the same.</Trans>
        </Notice>
      ) : (
        <ul className="stack">
          {facility.environments.map((environment) => (
            <li key={environment.id} className="card">
              <EnvironmentCard environment={environment} facility={facility} />
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Head({ facility }: { facility: FacilityFull }) {
  const place = placeName(facility.place, facility.country, formatLocale);
  return (
    <div className="page-head">
      <p className="crumb">
        <Link to="/facilities">
          <Trans>Facilities</Trans>
        </Link>
      </p>
      <div className="title-row">
        <h1>{facility.name}</h1>
        <FacilityState state={facility.state} />
        {facility.stateSince ? (
          <span className="muted">
            <Trans>
              for <LongSince iso={facility.stateSince} />
            </Trans>
          </span>
        ) : null}
      </div>
      {place ? <p className="muted">{place}</p> : null}
      {facility.description ? <p className="lead">{facility.description}</p> : null}
      <div className="row">
        <Link className="btn" to="/search" search={{ facility: [facility.slug] }}>
          <Trans>Search its data</Trans>
        </Link>
      </div>
    </div>
  );
}

/** What one facility offers, and how one's account stands there. */
export function FacilityPage() {
  const { t } = useLingui();
  const { slug } = useParams({ from: '/facilities/$slug' });
  const list = useFacilities();
  const known = list.facilities.find((each) => each.slug === slug);
  const { data, error, again } = useRead(DetailsDocument, { id: known?.id ?? '' }, !known);
  const facility = data?.facility;
  if (list.data && !known) return <Missing />;
  const failed = error ?? list.error;
  return (
    <div className="page">
      <title>{t`${known?.name ?? slug} – Parasol`}</title>
      {failed && !facility ? (
        <ReadError title={<Trans>This facility could not be read just now.</Trans>} again={known ? again : list.again} />
      ) : null}
      {!facility && !failed ? (
        <div className="stack" aria-busy="true">
          <Skeleton lines={3} className="" />
          <Skeleton lines={8} />
        </div>
      ) : null}
      {facility ? (
        <>
          <Head facility={facility} />
          {facility.state === 'OFFLINE' ? (
            <Notice tone="bad" title={<Trans>{facility.name} is not connected to the portal at the moment.</Trans>}>
              <Trans>Running workspaces can still be opened. Its data cannot be searched until it is back; a start waits for it.</Trans>
            </Notice>
          ) : null}
          <div className="with-aside">
            <Environments facility={facility} />
            <aside className="stack" aria-label={t`About ${facility.name}`}>
              <AccountPanel facility={facility} />
              <LinksPanel facility={facility} />
              <CapabilitiesPanel facility={facility} />
            </aside>
          </div>
        </>
      ) : null}
    </div>
  );
}
