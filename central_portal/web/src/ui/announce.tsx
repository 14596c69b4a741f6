import { useSyncExternalStore } from 'react';
import { Store } from '../lib/store';

const JOIN_MS = 600;
const spoken = new Store('');
let waiting: string[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;

/** Say something politely to who cannot see it; a burst within 600 ms is one announcement. */
export function announce(message: string): void {
  waiting.push(message);
  clearTimeout(timer);
  timer = setTimeout(() => {
    spoken.set([...new Set(waiting)].join(' '));
    waiting = [];
  }, JOIN_MS);
}

/** The page's only polite live region. */
export function LiveRegion() {
  const message = useSyncExternalStore(spoken.subscribe, spoken.get);
  return (
    <div className="sr-only" role="status" aria-live="polite">
      {message}
    </div>
  );
}
