import { useEffect, useReducer, useRef, useState } from 'react';
import { useClient, type CombinedError } from 'urql';
import { doc } from '../api/doc';
import { useConnection } from '../api/connection';
import type { SearchInput } from '../gql/graphql';
import { advance, beginning, type Progress, type Step } from './progress';
import { SearchPageOf, SearchProgress } from './queries';

const ProgressDocument = doc(SearchProgress);
const PageDocument = doc(SearchPageOf);

type Action = Step | { kind: 'begin'; at: number };
const reduce = (state: Progress, action: Action) => (action.kind === 'begin' ? beginning(action.at) : advance(state, action));

export interface FederatedSearch {
  progress: Progress;
  error: CombinedError | undefined;
  loadingMore: boolean;
  /** Facilities (ids) that are being asked again. */
  asking: ReadonlySet<string>;
  reveal: () => void;
  more: () => void;
  askAgain: (facility: string) => void;
  begin: () => void;
}

/** The live search for `input`, null while it is not known yet what to ask. */
export function useFederatedSearch(input: SearchInput | null): FederatedSearch {
  const client = useClient();
  const lost = useConnection() === 'lost';
  const [progress, dispatch] = useReducer(reduce, 0, beginning);
  const [error, setError] = useState<CombinedError>();
  const [loadingMore, setLoadingMore] = useState(false);
  const [asking, setAsking] = useState<ReadonlySet<string>>(new Set());
  const [round, setRound] = useState(0);
  const key = input ? JSON.stringify(input) : null;
  // An answer to an earlier question must not reach a later one.
  const question = useRef(0);

  useEffect(() => {
    question.current += 1;
    dispatch({ kind: 'begin', at: Date.now() });
    setError(undefined);
    setLoadingMore(false);
    setAsking(new Set());
    if (!input) return;
    const subscription = client.subscription(ProgressDocument, { query: input }).subscribe((result) => {
      setError(result.error);
      if (result.data) dispatch({ kind: 'slice', slice: result.data.searchProgress, at: Date.now() });
    });
    return () => subscription.unsubscribe();
  }, [client, key, round]);

  // Where no WebSocket gets through, one answer of all facilities is better than none.
  const stuck = lost && !progress.done;
  useEffect(() => {
    if (!stuck || !input) return;
    const request = client.query(PageDocument, { query: input }, { requestPolicy: 'network-only' }).subscribe((result) => {
      if (result.data) dispatch({ kind: 'slice', slice: result.data.search, at: Date.now() });
      else setError(result.error);
    });
    return () => request.unsubscribe();
  }, [client, key, stuck]);

  async function more() {
    if (!input || !progress.cursor || loadingMore) return;
    setLoadingMore(true);
    const asked = question.current;
    const result = await client.query(PageDocument, { query: input, after: progress.cursor }, { requestPolicy: 'network-only' });
    if (asked !== question.current) return;
    setLoadingMore(false);
    setError(result.error);
    if (result.data) dispatch({ kind: 'page', slice: result.data.search });
  }

  async function askAgain(facility: string) {
    if (!input) return;
    setAsking((before) => new Set(before).add(facility));
    const asked = question.current;
    const only = { ...input, facilities: [facility] };
    const result = await client.query(PageDocument, { query: only }, { requestPolicy: 'network-only' });
    if (asked !== question.current) return;
    setAsking((before) => new Set([...before].filter((each) => each !== facility)));
    setError(result.error);
    if (result.data) dispatch({ kind: 'answer', slice: result.data.search, byTime: input.order !== 'RELEVANCE' });
  }

  return {
    progress,
    error,
    loadingMore,
    asking,
    reveal: () => dispatch({ kind: 'reveal' }),
    more: () => void more(),
    askAgain: (facility) => void askAgain(facility),
    begin: () => setRound((before) => before + 1),
  };
}
