import { Client, fetchExchange, subscriptionExchange, type Exchange } from 'urql';
import { cache, newestWorkspaces } from './cache';
import { connection } from './connection';
import { createSocket, forwardOver } from './socket';

/** A client of one centre; `transport` carries operations to it. */
export function createGraphqlClient(url: string, transport: Exchange[], fetcher?: typeof fetch): Client {
  return new Client({
    url,
    fetch: fetcher,
    preferGetMethod: false,
    requestPolicy: 'cache-and-network',
    exchanges: [cache(), newestWorkspaces, ...transport],
  });
}

/** The page's client: queries over POST, subscriptions over one WebSocket of the same address. */
export function createPageClient(): Client {
  const address = new URL('/graphql', location.href);
  const socket = createSocket(address.href.replace(/^http/, 'ws'), connection);
  return createGraphqlClient('/graphql', [
    fetchExchange,
    subscriptionExchange({ forwardSubscription: forwardOver(socket, connection) }),
  ]);
}
