import { Trans, useLingui } from '@lingui/react/macro';
import { Link, useParams } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { useSubscription } from 'urql';
import { doc } from '../api/doc';
import { useRead } from '../api/read';
import { formatLocale } from '../i18n';
import { volume } from '../lib/format';
import { Missing } from '../shell/fallbacks';
import { OutboundLink } from '../ui/OutboundLink';
import { ReadError } from '../ui/ReadError';
import { Skeleton } from '../ui/Skeleton';
import { Instant } from '../ui/Time';
import { RestorePanel } from '../restore/RestorePanel';
import { DatasetChanged } from '../restore/queries';
import { problemOf, wordingOf } from '../words/problems';
import { ARCHIVE_STATES } from '../words/states';
import { DatasetFiles } from './DatasetFiles';
import { DatasetById, datasetIn, type WholeDataset } from './queries';
import { DatasetTags } from './ResultItem';

const DatasetDocument = doc(DatasetById);
const ChangedDocument = doc(DatasetChanged);

const named = (parameter: WholeDataset['parameters'][number]) =>
  `${parameter.name}: ${parameter.number ?? parameter.text ?? ''} ${parameter.unit}`.trim();

function Facts({ dataset }: { dataset: WholeDataset }) {
  const { t, i18n } = useLingui();
  const facts: [string, ReactNode][] = [
    [t`Facility`, <Link key="facility" to="/facilities/$slug" params={{ slug: dataset.facility.slug }}>{dataset.facility.name}</Link>],
    [t`Identifier`, <code key="pid">{dataset.pid}</code>],
    [t`Proposal`, dataset.proposalId ? <Link key="proposal" to="/proposals/$id" params={{ id: dataset.proposalId }}>{dataset.proposal}</Link> : null],
    [t`Instrument`, dataset.instrument],
    [t`Sample`, dataset.sample],
    [t`Definition`, dataset.definition],
    [t`Began`, dataset.startedAt ? <Instant key="start" iso={dataset.startedAt} /> : null],
    [t`Ended`, dataset.endedAt ? <Instant key="end" iso={dataset.endedAt} /> : null],
    [t`Size`, volume(dataset.sizeBytes, formatLocale)],
    [t`Files`, dataset.files],
    [t`Where its data are`, i18n._(ARCHIVE_STATES[dataset.archiveState].text)],
  ];
  const more: [string, ReactNode][] = [
    [t`Techniques`, dataset.techniques.map(({ title }) => title).join(', ')],
    [t`Keywords`, dataset.keywords.join(', ')],
    [t`Parameters`, dataset.parameters.map(named).join(', ')],
    [t`DOI`, dataset.doi ? <OutboundLink key="doi" href={`https://doi.org/${encodeURI(dataset.doi)}`}>{dataset.doi}</OutboundLink> : null],
    [t`Licence`, dataset.licence],
    [t`Open since`, dataset.releasedAt ? <Instant key="open" iso={dataset.releasedAt} /> : null],
  ];
  const stated = [...facts, ...more.filter(([, value]) => value)];
  return (
    <dl className="facts card">
      {stated.map(([name, value]) => (
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
  // The cache takes what comes: this page then shows it.
  useSubscription({ query: ChangedDocument, variables: { dataset: id }, pause: !dataset || dataset.archiveState === 'ONLINE' });
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
              {dataset.archiveState === 'ONLINE' || dataset.archiveState === 'UNKNOWN' ? (
                <Link className="btn primary" to="/launch" search={{ facility: dataset.facility.slug, dataset: dataset.id }}>
                  <Trans>Analyse</Trans>
                </Link>
              ) : null}
              {dataset.proposal ? (
                <Link className="btn" to="/search" search={{ facility: [dataset.facility.slug], proposal: [dataset.proposal] }}>
                  <Trans>Show all data of {dataset.proposal}</Trans>
                </Link>
              ) : null}
            </div>
          </div>
          <RestorePanel dataset={dataset} />
          <Facts dataset={dataset} />
          <DatasetFiles dataset={dataset.id} />
        </>
      ) : null}
    </div>
  );
}
