import { useSyncExternalStore } from 'react';
import { Store } from '../lib/store';

/** `idle`: nothing subscribes; `lost`: no socket for longer than the patience, what is shown may be old. */
export type ConnectionState = 'idle' | 'connecting' | 'live' | 'lost';

const PATIENCE_MS = 3000;

/** What the socket reports, turned into what a person is told. */
export class Connection {
  readonly state = new Store<ConnectionState>('idle');
  private timer: ReturnType<typeof setTimeout> | undefined;
  private wasLost = false;
  private readonly listeners = new Set<() => void>();

  /** Called after each reconnection and each change of session: what was read before may be old. */
  onResync(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  resync(): void {
    for (const listener of this.listeners) listener();
  }

  connecting(): void {
    if (this.state.value === 'idle') this.state.set('connecting');
    this.expectSoon();
  }

  connected(): void {
    this.stopTimer();
    this.state.set('live');
    if (this.wasLost) this.resync();
    this.wasLost = false;
  }

  /** @param intended the client closed an idle socket: nothing is missing. */
  closed(intended: boolean): void {
    if (intended) {
      this.stopTimer();
      this.state.set('idle');
      return;
    }
    this.wasLost = true;
    this.expectSoon();
  }

  private expectSoon(): void {
    this.timer ??= setTimeout(() => {
      this.wasLost = true;
      this.state.set('lost');
    }, PATIENCE_MS);
  }

  private stopTimer(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}

export const connection = new Connection();

/** The state of the page's live connection. */
export function useConnection(): ConnectionState {
  return useSyncExternalStore(connection.state.subscribe, connection.state.get);
}
