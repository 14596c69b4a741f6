import { Plural, Trans } from '@lingui/react/macro';
import { Link } from '@tanstack/react-router';
import { Fragment, type ReactNode } from 'react';
import { Button } from 'react-aria-components';
import { formatLocale } from '../i18n';
import { day, volume } from '../lib/format';
import type { Dataset } from './queries';

interface ResultItemProps {
  dataset: Dataset;
  analyse: (dataset: Dataset) => void;
  /** Called when somebody is about to press Analyse. */
  prepare: () => void;
}

/** What there is of: facility, instrument, date, size, files. */
export function DatasetFacts({ dataset }: { dataset: Dataset }) {
  const facts: ReactNode[] = [
    dataset.facility.name,
    dataset.instrument,
    dataset.startedAt ? <time dateTime={dataset.startedAt}>{day(dataset.startedAt, formatLocale)}</time> : <Trans>date not stated</Trans>,
    volume(dataset.sizeBytes, formatLocale),
    <Plural key="files" value={dataset.files} one="# file" other="# files" />,
  ];
  return facts.filter(Boolean).map((fact, index) => (
    <Fragment key={index}>
      {index > 0 ? ' · ' : null}
      {fact}
    </Fragment>
  ));
}

/** Whose it is, and what was measured. */
export function DatasetTags({ dataset }: { dataset: Dataset }) {
  return (
    <p className="tags">
      {dataset.isOpen ? (
        <span className="tag tag-open">
          <Trans>Open data</Trans>
        </span>
      ) : null}
      {dataset.proposal ? (
        <span className="tag">
          {dataset.isOpen ? <Trans>Proposal {dataset.proposal}</Trans> : <Trans>Your proposal {dataset.proposal}</Trans>}
        </span>
      ) : null}
      {dataset.sample ? <span className="tag">{dataset.sample}</span> : null}
    </p>
  );
}

/** One dataset of the list. */
export function ResultItem({ dataset, analyse, prepare }: ResultItemProps) {
  const heading = `dataset-${dataset.id}`;
  return (
    <li>
      <article className="result" aria-labelledby={heading}>
        <div className="result-text">
          <h2 id={heading}>
            <Link to="/datasets/$id" params={{ id: dataset.id }}>
              {dataset.title || dataset.pid}
            </Link>
          </h2>
          <p className="muted">
            <DatasetFacts dataset={dataset} />
          </p>
          <DatasetTags dataset={dataset} />
        </div>
        <Button className="btn primary" onPress={() => analyse(dataset)} onHoverStart={prepare} onFocus={prepare}>
          <Trans>Analyse</Trans>
          <span className="sr-only"> {dataset.title || dataset.pid}</span>
        </Button>
      </article>
    </li>
  );
}
