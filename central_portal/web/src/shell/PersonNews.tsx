import { lazy, Suspense, useEffect, useState, useSyncExternalStore, type ComponentType } from 'react';
import { restores } from '../restore/asked';
import { tasks } from '../tasks/started';

const AllNews = lazy<ComponentType>(() =>
  import('./AllNews').then(
    (loaded) => ({ default: loaded.AllNews }),
    // The page itself is there: it goes on, and the next one tells.
    () => ({ default: () => null }),
  ),
);

/** Nobody who signs in later is told of it. */
export function forgetNews(): void {
  restores.forgetAll();
  tasks.forgetAll();
}

/** News of what this person waits for; its code is loaded once there is something to wait for. */
export function PersonNews({ person }: { person: string }) {
  const [owner, setOwner] = useState('');
  useEffect(() => {
    restores.belongsTo(person);
    tasks.belongsTo(person);
    setOwner(person);
  }, [person]);
  const isWaiting = [
    useSyncExternalStore(restores.ids.subscribe, restores.ids.get),
    useSyncExternalStore(tasks.ids.subscribe, tasks.ids.get),
  ].some((ids) => ids.length > 0);
  // News may be on the page after the last wait.
  const [isWanted, setWanted] = useState(false);
  if (owner === person && isWaiting && !isWanted) setWanted(true);
  return isWanted ? (
    <Suspense fallback={null}>
      <AllNews />
    </Suspense>
  ) : null;
}
