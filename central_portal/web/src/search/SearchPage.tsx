import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useState } from 'react';
import { useSession } from '../api/session';
import { useFacilities } from '../facilities/useFacilities';
import { filterCount, type SearchAddress } from '../lib/address';
import { announce } from '../ui/announce';
import { Completeness } from './Completeness';
import { Filters } from './Filters';
import { searchInput } from './input';
import { completeness, type Progress } from './progress';
import type { Dataset } from './queries';
import { Results } from './Results';
import { SearchBox } from './SearchBox';
import { Sorting } from './Sorting';
import { Summary } from './Summary';
import { useFederatedSearch } from './useFederatedSearch';

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

function OpenDataOnly() {
  const { me } = useSession();
  if (me !== null) return null;
  return (
    <p className="muted hint">
      <Trans>These are open data. Sign in to include your own.</Trans>
    </p>
  );
}

function YourProposals() {
  const { me } = useSession();
  if (!me) return null;
  return (
    <p className="hint">
      <Link to="/proposals">
        <Trans>Your proposals</Trans>
      </Link>
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
  const sort = address.q ? address.sort : undefined;

  return (
    <div className="page">
      <title>{t`Data – Parasol`}</title>
      <div className="page-head">
        <h1>
          <Trans>Data</Trans>
        </h1>
        <SearchBox text={address.q ?? ''} onChange={(q) => change({ q: q || undefined }, true)} />
        <YourProposals />
      </div>
      <div className="with-side">
        <Filters address={address} progress={search.progress} facilities={list.facilities} change={change}>
          {filters > 0 ? (
            <Link className="link" to="/search" search={{ q: address.q, sort: address.sort }} resetScroll={false}>
              <Plural value={filters} one="Remove # filter" other="Remove # filters" />
            </Link>
          ) : null}
        </Filters>
        <section aria-label={t`Results`} aria-busy={!search.progress.done && !search.error} className="result-column">
          <div className="summary-row">
            <Summary progress={search.progress} reveal={search.reveal} best={sort !== undefined} />
            {address.q ? <Sorting sort={address.sort} onChange={(chosenSort) => change({ sort: chosenSort })} /> : null}
          </div>
          <Completeness
            outcomes={search.progress.outcomes} done={search.progress.done} asking={search.asking} askAgain={search.askAgain}
          />
          <OpenDataOnly />
          <Results
            search={search} filtered={filters > 0 || !!address.q} analyse={setChosen} prepare={() => void loadDialog()}
          />
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
