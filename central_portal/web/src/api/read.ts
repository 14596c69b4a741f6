import { useEffect } from 'react';
import { useQuery, type AnyVariables, type CombinedError, type TypedDocumentNode } from 'urql';
import { connection } from './connection';

/** What a view knows: old data stays while it is asked again, and stays when that fails. */
export interface Reading<Data> {
  data: Data | undefined;
  error: CombinedError | undefined;
  /** Nothing has come yet, and nothing has failed. */
  pending: boolean;
  again: () => void;
}

/** Read, show what is cached at once, and read again after each reconnection. */
export function useRead<Data, Variables extends AnyVariables>(
  query: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  pause = false,
): Reading<Data> {
  const [{ data, error }, execute] = useQuery<Data, AnyVariables>({ query, variables, pause });
  const again = () => execute({ requestPolicy: 'network-only' });
  useEffect(() => (pause ? undefined : connection.onResync(again)), [pause, execute]);
  return { data, error, pending: !data && !error, again };
}
