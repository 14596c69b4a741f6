import { Store } from '../lib/store';

const KEY = 'parasol.restores';
const MOST = 10;

function kept(): string[] {
  try {
    const found: unknown = JSON.parse(sessionStorage.getItem(KEY) ?? '[]');
    return Array.isArray(found) ? found.filter((id): id is string => typeof id === 'string').slice(0, MOST) : [];
  } catch {
    return [];
  }
}

/** Datasets (global ids) that this tab's person had restored and has not been told of yet. */
export const asked = new Store<readonly string[]>(kept());

function keep(ids: readonly string[]): void {
  asked.set(ids);
  try {
    sessionStorage.setItem(KEY, JSON.stringify(ids));
  } catch {
    // Without storage it is watched until the page is left.
  }
}

/** Watch a dataset on every page from now on; the oldest goes when there are too many. */
export const watchRestore = (id: string): void => keep([...asked.get().filter((each) => each !== id), id].slice(-MOST));

export const forgetRestore = (id: string): void => keep(asked.get().filter((each) => each !== id));

export const forgetRestores = (): void => keep([]);
