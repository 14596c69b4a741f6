import { Trans, useLingui } from '@lingui/react/macro';
import { Link } from '@tanstack/react-router';
import { USED_AS } from '../words/states';
import type { WholeDataset } from './queries';

type Suiting = WholeDataset['environments'][number];

/** What its facility says that it is for. */
function MeantFor({ environment }: { environment: Suiting }) {
  const words = [...environment.techniques.map(({ title }) => title), ...environment.definitions].join(', ');
  if (!words) return null;
  return (
    <p className="muted">
      <Trans>Meant for {words}</Trans>
    </p>
  );
}

/** The facility's environments that suit a dataset, the fitting ones first; each fills the form of a start. */
export function SuitingEnvironments({ dataset, startable }: { dataset: WholeDataset; startable: boolean }) {
  const { i18n } = useLingui();
  if (!dataset.environments.length) return null;
  return (
    <section className="card" aria-labelledby="suiting">
      <h2 id="suiting">
        <Trans>Environments for this dataset</Trans>
      </h2>
      <ul className="suiting">
        {dataset.environments.map((environment) => (
          <li key={environment.id}>
            <p>
              {startable ? (
                <Link
                  to="/launch"
                  search={{ facility: dataset.facility.slug, dataset: dataset.id, environment: environment.slug }}
                >
                  <Trans>Analyse with {environment.title}</Trans>
                </Link>
              ) : (
                environment.title
              )}{' '}
              <span className="tag">{i18n._(USED_AS[environment.usedAs])}</span>
            </p>
            {environment.description ? <p>{environment.description}</p> : null}
            {environment.software.length ? (
              <p className="muted">{environment.software.map(({ name, version }) => `${name} ${version}`.trim()).join(', ')}</p>
            ) : null}
            <MeantFor environment={environment} />
          </li>
        ))}
      </ul>
    </section>
  );
}
