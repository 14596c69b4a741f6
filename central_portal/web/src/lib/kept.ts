import { Store } from './store';

const LONGEST = 1000;

const isId = (value: unknown): value is string => typeof value === 'string' && value.length > 0 && value.length <= LONGEST;

/**
 * What one signed-in person is yet to be told of: global ids in the browser's storage, a bounded number. With
 * `localStorage` every tab has the same list, and it is there again later. Another person's list is never shown,
 * and while nobody is known to be signed in nothing is kept.
 */
export class Kept {
  /** The ids of the present person, oldest first. */
  readonly ids = new Store<readonly string[]>([]);
  private person = '';
  private stored = true;

  private readonly key: string;
  private readonly storage: () => Storage;
  private readonly most: number;

  constructor(key: string, storage: () => Storage, most: number) {
    this.key = key;
    this.storage = storage;
    this.most = most;
    window.addEventListener('storage', (event) => {
      // No key: everything was cleared.
      if (event.key === key || event.key === null) this.ids.set(this.read());
    });
  }

  /** Whose ids these are from now on; what is kept of somebody else is forgotten. */
  readonly belongsTo = (person: string): void => {
    if (person === this.person) return;
    this.person = person;
    this.ids.set([]);
    this.change((ids) => ids);
  };

  /** From now on, until it is forgotten; the oldest goes when there are too many. */
  readonly keep = (id: string): void => this.change((ids) => (ids.includes(id) ? ids : [...ids, id].slice(-this.most)));

  /** The same, but nothing goes for it. */
  readonly keepIfRoom = (id: string): void => {
    const ids = this.ids.get();
    if (!ids.includes(id) && ids.length < this.most) this.keep(id);
  };

  readonly forget = (id: string): void => this.change((ids) => ids.filter((each) => each !== id));

  readonly forgetAll = (): void => this.change(() => []);

  private change(next: (ids: readonly string[]) => readonly string[]): void {
    if (!this.person) return;
    // Another tab may have written since this one looked.
    const ids = next(this.read());
    this.ids.set(ids);
    try {
      this.storage().setItem(this.key, JSON.stringify({ person: this.person, ids }));
    } catch {
      // Without storage it is known until the page is left.
      this.stored = false;
    }
  }

  private read(): readonly string[] {
    if (!this.stored) return this.ids.get();
    try {
      const found = JSON.parse(this.storage().getItem(this.key) ?? 'null') as { person?: unknown; ids?: unknown } | null;
      if (found?.person !== this.person || !Array.isArray(found.ids)) return [];
      return [...new Set(found.ids.filter(isId))].slice(-this.most);
    } catch {
      return this.ids.get();
    }
  }
}
