import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Link } from '@tanstack/react-router';
import { formatLocale } from '../i18n';
import { listed, placeName } from '../lib/format';
import { Notice } from '../ui/Notice';
import { ReadError } from '../ui/ReadError';
import { Skeleton } from '../ui/Skeleton';
import { Ago, LongSince } from '../ui/Time';
import { USED_AS } from '../words/states';
import { ConnectLink } from './ConnectLink';
import { AccountLinkState, FacilityState } from './FacilityState';
import { linkMend } from './links';
import type { FacilitySummary } from './queries';
import { useFacilities } from './useFacilities';

const INSTRUMENTS_SHOWN = 4;

function Facts({ facility }: { facility: FacilitySummary }) {
  const { i18n } = useLingui();
  const kinds = [...new Set(facility.environments.map((environment) => i18n._(USED_AS[environment.usedAs])))];
  const more = facility.instruments.length - INSTRUMENTS_SHOWN;
  return (
    <dl className="facts">
      {facility.accountLink ? (
        <div>
          <dt>
            <Trans>Your account</Trans>
          </dt>
          <dd>
            <AccountLinkState state={facility.accountLink.state} />
          </dd>
        </div>
      ) : null}
      <div>
        <dt>
          <Trans>Environments</Trans>
        </dt>
        <dd>{kinds.length ? listed(kinds, formatLocale) : <Trans>Not reported</Trans>}</dd>
      </div>
      <div>
        <dt>
          <Trans>Instruments</Trans>
        </dt>
        <dd>
          {facility.instruments.length ? facility.instruments.slice(0, INSTRUMENTS_SHOWN).join(', ') : <Trans>Not reported</Trans>}
          {more > 0 ? (
            <span className="muted">
              {' '}
              <Plural value={more} one="and # more" other="and # more" />
            </span>
          ) : null}
        </dd>
      </div>
    </dl>
  );
}

function FacilityCard({ facility }: { facility: FacilitySummary }) {
  const mend = linkMend(facility);
  const place = placeName(facility.place, facility.country, formatLocale);
  return (
    <li className="card">
      <article aria-labelledby={`facility-${facility.slug}`}>
        <div className="card-head">
          <h2 id={`facility-${facility.slug}`}>
            <Link to="/facilities/$slug" params={{ slug: facility.slug }}>
              {facility.name}
            </Link>
          </h2>
          <FacilityState state={facility.state} />
        </div>
        {place ? <p className="muted">{place}</p> : null}
        {facility.state === 'OFFLINE' ? (
          <p>
            {facility.stateSince ? <Trans>Not connected for <LongSince iso={facility.stateSince} />.</Trans> : <Trans>Not connected.</Trans>}{' '}
            <Trans>Workspaces there keep running. Its data cannot be searched until it is back.</Trans>
          </p>
        ) : facility.description ? (
          <p className="clamp">{facility.description}</p>
        ) : null}
        <Facts facility={facility} />
        <div className="row card-foot">
          {mend !== 'NONE' && facility.state === 'ONLINE' ? (
            <ConnectLink facility={facility} mend={mend} className="btn primary" quietName />
          ) : null}
          <Link className="btn" to="/search" search={{ facility: [facility.slug] }}>
            <Trans>Search its data</Trans>
            <span className="sr-only"> – {facility.name}</span>
          </Link>
        </div>
        <p className="stamp">
          {facility.describedAt ? <Trans>Described itself <Ago iso={facility.describedAt} /></Trans> : <Trans>Has not described itself yet</Trans>}
        </p>
      </article>
    </li>
  );
}

/** Every facility with its state and the next thing to do there. */
export function FacilitiesPage() {
  const { t } = useLingui();
  const { facilities, data, error, pending, again } = useFacilities();
  return (
    <div className="page">
      <title>{t`Facilities – Parasol`}</title>
      <div className="page-head">
        <h1>
          <Trans>Facilities</Trans>
        </h1>
        <p className="lead">
          <Trans>Find data and start an analysis where the data is. Your accounts stay at each facility.</Trans>
        </p>
      </div>
      {error ? <ReadError title={<Trans>The list of facilities could not be read just now.</Trans>} again={again} /> : null}
      {pending ? (
        <div className="cards" aria-busy="true">
          <Skeleton lines={8} />
          <Skeleton lines={8} />
        </div>
      ) : null}
      {data && facilities.length === 0 ? (
        <Notice tone="info" title={<Trans>No facility takes part yet.</Trans>}>
          <Trans>Facilities appear here once they are enrolled.</Trans>
        </Notice>
      ) : null}
      <ul className="cards">
        {facilities.map((facility) => (
          <FacilityCard key={facility.id} facility={facility} />
        ))}
      </ul>
    </div>
  );
}
