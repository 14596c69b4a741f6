import { Trans, useLingui } from '@lingui/react/macro';
import { Link } from '@tanstack/react-router';
import { FlavourText } from '../launch/FlavourText';
import { Status } from '../ui/Status';
import { CARRIED_BY, USED_AS } from '../words/states';
import { mayAsk } from './links';
import type { EnvironmentFull, FacilityFull } from './queries';

/** One thing that can be started: what it is for, its software, its recommended size. */
export function EnvironmentCard({ environment, facility }: { environment: EnvironmentFull; facility: FacilityFull }) {
  const { i18n } = useLingui();
  const heading = `environment-${environment.slug}`;
  return (
    <article aria-labelledby={heading}>
      <div className="card-head">
        <h3 id={heading}>{environment.title}</h3>
        <span className="tag">{i18n._(USED_AS[environment.usedAs])}</span>
      </div>
      {environment.description ? <p>{environment.description}</p> : null}
      {environment.software.length ? (
        <ul className="software">
          {environment.software.map((program) => (
            <li key={program.name}>
              {program.name} <span className="muted">{program.version}</span>
            </li>
          ))}
        </ul>
      ) : null}
      <dl className="facts">
        {environment.recommendedFlavour ? (
          <div>
            <dt>
              <Trans>Recommended</Trans>
            </dt>
            <dd>
              {environment.recommendedFlavour.title} – <FlavourText flavour={environment.recommendedFlavour} />
            </dd>
          </div>
        ) : null}
        <div>
          <dt>
            <Trans>How it runs</Trans>
          </dt>
          <dd>
            {environment.isolation === 'NONE' ? (
              <Status tone="info">
                {i18n._(CARRIED_BY[environment.carriedBy])}, <Trans>as the facility’s service user, not as your own account</Trans>
              </Status>
            ) : (
              <>
                {i18n._(CARRIED_BY[environment.carriedBy])}, <Trans>as your own account</Trans>
              </>
            )}
          </dd>
        </div>
      </dl>
      {facility.state === 'ONLINE' || mayAsk(facility, 'RUN') ? (
        <div className="row card-foot">
          <Link className="btn" to="/launch" search={{ facility: facility.slug, environment: environment.slug }}>
            <Trans>Start {environment.title}</Trans>
          </Link>
        </div>
      ) : null}
    </article>
  );
}
