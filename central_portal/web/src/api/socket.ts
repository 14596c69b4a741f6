import { createClient, type Client as SocketClient } from 'graphql-ws';
import type { SubscriptionForwarder } from 'urql';
import type { Connection } from './connection';

/** The centre closes with it when the session ended or moved to a new cookie. */
const SESSION_CHANGED = 4401;
/** What this client asked was wrong, and would be again. */
const OWN_FAULT: readonly number[] = [4400, 4406, 4409];
const UNANSWERED_PING = 4408;
const PING_EVERY_MS = 12_000;
const PONG_WITHIN_MS = 5_000;
const LONGEST_WAIT_MS = 30_000;
const SESSION_CHANGES_IN_A_ROW = 5;

const isClose = (event: unknown): event is CloseEvent => typeof (event as CloseEvent | undefined)?.code === 'number';

/** Milliseconds before the attempt after `failures` failures: doubling, bounded, spread so that nobody comes at once. */
export function retryDelay(failures: number, random: () => number = Math.random): number {
  return Math.min(LONGEST_WAIT_MS, 500 * 2 ** failures) * (0.5 + random() / 2);
}

const wait = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

/** One socket per page, opened by the first subscription, closed 30 s after the last. */
export function createSocket(url: string, connection: Connection): SocketClient {
  let open: WebSocket | undefined;
  let pongTimer: ReturnType<typeof setTimeout> | undefined;
  return createClient({
    url,
    lazy: true,
    lazyCloseTimeout: 30_000,
    keepAlive: PING_EVERY_MS,
    retryAttempts: Infinity,
    shouldRetry: () => true,
    retryWait: (failures) => wait(retryDelay(failures)),
    on: {
      connecting: () => connection.connecting(),
      connected: (socket) => {
        open = socket as WebSocket;
        connection.connected();
      },
      ping: (received) => {
        if (received) return;
        // A network that went away closes nothing: without this the page would look live for minutes.
        pongTimer = setTimeout(() => open?.close(UNANSWERED_PING, 'Unanswered ping'), PONG_WITHIN_MS);
      },
      pong: (received) => {
        if (received) clearTimeout(pongTimer);
      },
      closed: (event) => {
        clearTimeout(pongTimer);
        connection.closed(isClose(event) && event.code === 1000);
      },
    },
  });
}

/**
 * Subscriptions over the socket. When the session changed under a subscription, everything read with
 * the old one is asked again and the subscription starts anew, a few times at most. A server that
 * failed and closed is tried for as long as somebody looks, at growing distances.
 */
export function forwardOver(socket: SocketClient, connection: Connection): SubscriptionForwarder {
  return (operation) => ({
    subscribe(sink) {
      let unsubscribe: (() => void) | undefined;
      let ended = false;
      let failures = 0;
      const mayBeginAgain = (code: number) =>
        code === SESSION_CHANGED ? failures < SESSION_CHANGES_IN_A_ROW : !OWN_FAULT.includes(code);
      const begin = () => {
        if (ended) return;
        unsubscribe = socket.subscribe(
          { query: operation.query ?? '', variables: (operation.variables ?? {}) as Record<string, unknown> },
          {
            next(result) {
              failures = 0;
              sink.next(result as Parameters<typeof sink.next>[0]);
            },
            error(error) {
              if (!isClose(error) || !mayBeginAgain(error.code)) {
                sink.error(error);
                return;
              }
              failures += 1;
              if (error.code === SESSION_CHANGED) connection.resync();
              setTimeout(begin, retryDelay(failures));
            },
            complete: () => sink.complete(),
          },
        );
      };
      begin();
      return {
        unsubscribe() {
          ended = true;
          unsubscribe?.();
        },
      };
    },
  });
}
