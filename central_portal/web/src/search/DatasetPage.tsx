import { Trans, useLingui } from '@lingui/react/macro';
import { Link, useParams } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { doc } from '../api/doc';
import { useRead } from '../api/read';
import { formatLocale } from '../i18n';
import { volume } from '../lib/format';
import { Missing } from '../shell/fallbacks';
import { ReadError } from '../ui/ReadError';
import { Skeleton } from '../ui/Skeleton';
import { Instant } from '../ui/Time';
import { problemOf, wordingOf } from '../words/problems';
import { DatasetById, datasetIn, type Dataset } from './queries';
import { DatasetTags } from './ResultItem';

const DatasetDocument = doc(DatasetById);

function Facts({ dataset }: { dataset: Dataset }) {
  const { t } = useLingui();
  const facts: [string, ReactNode][] = [
    [t`Facility`, <Link key="facility" to="/facilities/$slug" params={{ slug: dataset.facility.slug }}>{dataset.facility.name}</Link>],
    [t`Identifier`, <code key="pid">{dataset.pid}</code>],
    [t`Proposal`, dataset.proposal],
    [t`Instrument`, dataset.instrument],
    [t`Sample`, dataset.sample],
    [t`Definition`, dataset.definition],
    [t`Began`, dataset.startedAt ? <Instant key="start" iso={dataset.startedAt} /> : null],
    [t`Ended`, dataset.endedAt ? <Instant key="end" iso={dataset.endedAt} /> : null],
    [t`Size`, volume(dataset.sizeBytes, formatLocale)],
    [t`Files`, dataset.files],
  ];
  return (
    <dl className="facts card">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value || <Trans>Not stated</Trans>}</dd>
        </div>
      ))}
    </dl>
  );
}

/** One dataset, as its facility describes it. */
export function DatasetPage() {
  const { t, i18n } = useLingui();
  const { id } = useParams({ from: '/datasets/$id' });
  const { data, error, pending, again } = useRead(DatasetDocument, { id });
  const dataset = datasetIn(data);
  const problem = problemOf(error);
  const wording = problem && wordingOf(problem, t`The facility`);
  if (data && !dataset && !error) return <Missing />;
  if (problem?.code === 'NOT_FOUND') return <Missing />;
  return (
    <div className="page">
      <title>{t`${dataset?.title ?? t`Dataset`} – Parasol`}</title>
      {error && !dataset ? (
        <ReadError title={wording ? i18n._(wording.text) : <Trans>This dataset could not be read just now.</Trans>} again={again} />
      ) : null}
      {pending ? <Skeleton lines={9} /> : null}
      {dataset ? (
        <>
          <div className="page-head">
            <p className="crumb">
              <Link to="/search">
                <Trans>Data</Trans>
              </Link>
            </p>
            <h1>{dataset.title || dataset.pid}</h1>
            <DatasetTags dataset={dataset} />
            <div className="row">
              <Link className="btn primary" to="/launch" search={{ facility: dataset.facility.slug, dataset: dataset.id }}>
                <Trans>Analyse</Trans>
              </Link>
              {dataset.proposal ? (
                <Link className="btn" to="/search" search={{ facility: [dataset.facility.slug], proposal: [dataset.proposal] }}>
                  <Trans>Show all data of {dataset.proposal}</Trans>
                </Link>
              ) : null}
            </div>
          </div>
          <Facts dataset={dataset} />
        </>
      ) : null}
    </div>
  );
}
