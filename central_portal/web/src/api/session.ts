import { useEffect } from 'react';
import { useQuery } from 'urql';
import { graphql } from '../gql';
import type { SessionQuery } from '../gql/graphql';
import { connection } from './connection';
import { doc } from './doc';

const Session = graphql(`
  query Session {
    me {
      id
      name
      provider
      sessionExpiresAt
    }
    signInProviders {
      id
      title
      url
    }
  }
`);

export type Me = NonNullable<SessionQuery['me']>;
export type SignInProvider = SessionQuery['signInProviders'][number];

export interface SessionView {
  /** undefined while it is not known yet; null for an anonymous reader. */
  me: Me | null | undefined;
  providers: SignInProvider[];
  failed: boolean;
  again: () => void;
}

/** Who is signed in. Asked once per page, and again when the session changed. */
export function useSession(): SessionView {
  const [{ data, error }, execute] = useQuery({ query: doc(Session), variables: {}, requestPolicy: 'cache-first' });
  const again = () => execute({ requestPolicy: 'network-only' });
  useEffect(() => connection.onResync(again), [execute]);
  return {
    me: data ? (data.me ?? null) : undefined,
    providers: data?.signInProviders ?? [],
    failed: !data && !!error,
    again,
  };
}

const RENEW_EVERY_MS = 30 * 60_000;
const RENEWED_AT = 'parasol.renewed-at';

/** Whether the session is due for a new cookie; `last` is when any tab got one, in milliseconds. */
export const isRenewalDue = (last: number, now: number): boolean => now - last >= RENEW_EVERY_MS || last > now;

async function renewOnce(): Promise<void> {
  const last = Number(localStorage.getItem(RENEWED_AT) ?? 0);
  if (document.hidden || !isRenewalDue(last, Date.now())) return;
  localStorage.setItem(RENEWED_AT, String(Date.now()));
  // A refusal means that another tab was first, or that the session is over: the next read tells.
  await fetch('/session/renew', { method: 'POST' }).catch(() => undefined);
}

/** Give a signed-in person's session a new cookie now and then: one tab at a time, only while it is looked at. */
export function useSessionRenewal(me: Me | null | undefined): void {
  const id = me?.id;
  const expiresAt = me?.sessionExpiresAt;
  useEffect(() => {
    if (!id || !expiresAt) return;
    const renew = () => void navigator.locks?.request('parasol-renewal', { ifAvailable: true }, async (lock) => {
      if (lock) await renewOnce();
    });
    const ticking = setInterval(renew, 60_000);
    const left = Date.parse(expiresAt) - Date.now();
    const ending = setTimeout(() => connection.resync(), Math.min(Math.max(left, 0) + 1000, 2 ** 31 - 1));
    return () => {
      clearInterval(ticking);
      clearTimeout(ending);
    };
  }, [id, expiresAt]);
}
