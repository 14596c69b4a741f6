import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useState } from 'react';
import { Button } from 'react-aria-components';
import { useSession } from '../api/session';
import { useFacilities } from '../facilities/useFacilities';
import { filterCount, type SearchAddress } from '../lib/address';
import { announce } from '../ui/announce';
import { Notice } from '../ui/Notice';
import { ReadError } from '../ui/ReadError';
import { Skeleton } from '../ui/Skeleton';
import { Completeness } from './Completeness';
import { Filters } from './Filters';
import { searchInput } from './input';
import { completeness, type Progress } from './progress';
import type { Dataset } from './queries';
import { ResultItem } from './ResultItem';
import { SearchBox } from './SearchBox';
import { Summary } from './Summary';
import { useFederatedSearch, type FederatedSearch } from './useFederatedSearch';

const loadDialog = () => import('../launch/LaunchDialog');
const LaunchDialog = lazy(() => loadDialog().then((module) => ({ default: module.LaunchDialog })));

/** Says once, when every facility has answered, how many there are. */
function useAnnouncedCount(progress: Progress) {
  const { t } = useLingui();
  const { done } = progress;
  useEffect(() => {
    if (!done) return;
    const { complete, part, missing } = completeness(progress.outcomes);
    const number = progress.arrived.length;
    announce(
      part + missing === 0
        ? t`${number} datasets shown. All facilities answered.`
        : t`${number} datasets shown. ${complete} facilities complete, ${part} in part, ${missing} missing.`,
    );
  }, [done]);
}

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

function Results({ search, filtered, analyse }: { search: FederatedSearch; filtered: boolean; analyse: (dataset: Dataset) => void }) {
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
          <ResultItem key={dataset.id} dataset={dataset} analyse={analyse} prepare={() => void loadDialog()} />
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

function OpenDataOnly() {
  const { me } = useSession();
  if (me !== null) return null;
  return (
    <p className="muted hint">
      <Trans>These are open data. Sign in to include your own.</Trans>
    </p>
  );
}

/** Datasets of all facilities, as they answer. */
export function SearchPage() {
  const { t } = useLingui();
  const address = useSearch({ from: '/search' });
  const navigate = useNavigate({ from: '/search' });
  const list = useFacilities();
  const [chosen, setChosen] = useState<Dataset | null>(null);
  // With a facility in the address its id must be known first; without one nothing needs to wait.
  const ready = !address.facility || list.data !== undefined;
  const search = useFederatedSearch(ready ? searchInput(address, list.facilities) : null);
  useAnnouncedCount(search.progress);
  const change = (changes: Partial<SearchAddress>, replace = false) =>
    void navigate({ search: (before) => ({ ...before, ...changes }), replace, resetScroll: false });
  const filters = filterCount(address);

  return (
    <div className="page">
      <title>{t`Data – Parasol`}</title>
      <div className="page-head">
        <h1>
          <Trans>Data</Trans>
        </h1>
        <SearchBox text={address.q ?? ''} onChange={(q) => change({ q: q || undefined }, true)} />
      </div>
      <div className="with-side">
        <Filters address={address} progress={search.progress} facilities={list.facilities} change={change}>
          {filters > 0 ? (
            <Link className="link" to="/search" search={{ q: address.q }} resetScroll={false}>
              <Plural value={filters} one="Remove # filter" other="Remove # filters" />
            </Link>
          ) : null}
        </Filters>
        <section aria-label={t`Results`} aria-busy={!search.progress.done && !search.error} className="result-column">
          <Summary progress={search.progress} reveal={search.reveal} />
          <Completeness search={search} />
          <OpenDataOnly />
          <Results search={search} filtered={filters > 0 || !!address.q} analyse={setChosen} />
        </section>
      </div>
      {chosen ? (
        <Suspense fallback={null}>
          <LaunchDialog dataset={chosen} onClose={() => setChosen(null)} />
        </Suspense>
      ) : null}
    </div>
  );
}
