import { useEffect, useRef, useState } from 'react';
import { useClient, type CombinedError } from 'urql';
import { connection } from '../api/connection';
import { doc } from '../api/doc';
import type { ProposalsQuery } from '../gql/graphql';
import { Proposals, type Proposal } from './queries';

const ProposalsDocument = doc(Proposals);
type Page = ProposalsQuery['proposals'];
type Outcomes = Page['outcomes'];

export interface ProposalList {
  proposals: readonly Proposal[];
  outcomes: Outcomes;
  /** Whether there is more. */
  cursor: string | null;
  /** Something is being asked. */
  busy: boolean;
  /** Nothing has come yet, and nothing has failed. */
  pending: boolean;
  error: CombinedError | undefined;
  more: () => void;
  /** From the beginning. */
  again: () => void;
}

/** Outcomes by facility: a further page says only how those answered that have more. */
function together(known: Outcomes, news: Outcomes): Outcomes {
  const byFacility = new Map(known.map((outcome) => [outcome.facility.id, outcome]));
  for (const outcome of news) {
    const before = byFacility.get(outcome.facility.id);
    byFacility.set(outcome.facility.id, { ...outcome, count: outcome.count + (before?.count ?? 0) });
  }
  return [...byFacility.values()];
}

/** One's own proposals at all facilities, page by page; what was shown stays when a later question fails. */
export function useProposals(text: string): ProposalList {
  const client = useClient();
  const [page, setPage] = useState<Page>();
  const [error, setError] = useState<CombinedError>();
  const [busy, setBusy] = useState(true);
  // An answer to an earlier question must not reach a later one.
  const question = useRef(0);

  const ask = async (after: string | null) => {
    question.current += 1;
    const asked = question.current;
    setBusy(true);
    const result = await client.query(ProposalsDocument, { query: { text }, after }, { requestPolicy: 'network-only' }).toPromise();
    if (asked !== question.current) return;
    setBusy(false);
    setError(result.error);
    const answered = result.data?.proposals;
    if (!answered) return;
    setPage((before) =>
      before && after
        ? { ...answered, nodes: [...before.nodes, ...answered.nodes], outcomes: together(before.outcomes, answered.outcomes) }
        : answered,
    );
  };

  useEffect(() => {
    setPage(undefined);
    setError(undefined);
    void ask(null);
    const leave = connection.onResync(() => void ask(null));
    return () => {
      question.current += 1;
      leave();
    };
  }, [client, text]);

  const cursor = page?.pageInfo.hasNextPage ? (page.pageInfo.endCursor ?? null) : null;
  return {
    proposals: page?.nodes ?? [],
    outcomes: page?.outcomes ?? [],
    cursor,
    busy,
    pending: !page && !error,
    error,
    more: () => void (cursor && !busy ? ask(cursor) : undefined),
    again: () => void ask(null),
  };
}
