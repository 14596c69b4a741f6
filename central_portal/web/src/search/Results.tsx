import { Trans } from '@lingui/react/macro';
import { Link } from '@tanstack/react-router';
import { Button } from 'react-aria-components';
import { Notice } from '../ui/Notice';
import { ReadError } from '../ui/ReadError';
import { Skeleton } from '../ui/Skeleton';
import { completeness, type Progress } from './progress';
import type { Dataset } from './queries';
import { ResultItem } from './ResultItem';
import type { FederatedSearch } from './useFederatedSearch';

function NothingFound({ progress, filtered }: { progress: Progress; filtered: boolean }) {
  const { part, missing } = completeness(progress.outcomes);
  return (
    <Notice
      tone="info"
      title={<Trans>Nothing matches.</Trans>}
      actions={
        filtered ? (
          <Link className="btn" to="/search">
            <Trans>Remove text and filters</Trans>
          </Link>
        ) : null
      }
    >
      {part + missing > 0 ? (
        <Trans>Some facilities are missing or incomplete, so there may be more.</Trans>
      ) : (
        <Trans>Other words or fewer filters find more.</Trans>
      )}
    </Notice>
  );
}

interface ResultsProps {
  search: FederatedSearch;
  /** Whether text or filters narrow it, so that less of them may find more. */
  filtered: boolean;
  analyse: (dataset: Dataset) => void;
  /** Called when somebody is about to press Analyse. */
  prepare?: () => void;
}

/** What a search has found so far, or why there is nothing. */
export function Results({ search, filtered, analyse, prepare = () => undefined }: ResultsProps) {
  const { progress } = search;
  if (search.error && !progress.answered) {
    return (
      <ReadError title={<Trans>The search could not be started just now.</Trans>} again={search.begin}>
        <Trans>Facilities and your workspaces are not affected.</Trans>
      </ReadError>
    );
  }
  if (progress.shown.length === 0) {
    return progress.done ? (
      <NothingFound progress={progress} filtered={filtered} />
    ) : (
      <div className="results" aria-hidden="true">
        <Skeleton lines={3} className="result" />
        <Skeleton lines={3} className="result" />
        <Skeleton lines={3} className="result" />
        <Skeleton lines={3} className="result" />
      </div>
    );
  }
  return (
    <>
      <ol className="results">
        {progress.shown.map((dataset) => (
          <ResultItem key={dataset.id} dataset={dataset} analyse={analyse} prepare={prepare} />
        ))}
      </ol>
      {progress.done && progress.cursor ? (
        <Button className="btn more" onPress={search.more} isPending={search.loadingMore}>
          {search.loadingMore ? <Trans>Loading more datasets …</Trans> : <Trans>Load more datasets</Trans>}
        </Button>
      ) : null}
      {search.error && progress.answered ? (
        <Notice tone="bad" urgent title={<Trans>The last request did not reach the facilities. Try it again.</Trans>} />
      ) : null}
    </>
  );
}
