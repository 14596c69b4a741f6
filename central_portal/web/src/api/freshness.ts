/** What the order of a workspace's reports is decided by. */
export interface Sequenced {
  id: string;
  sequence: number;
}

/**
 * Remembers the newest word on each workspace. Answers and events overtake each other; an older one
 * never replaces a newer one. The same sequence again is taken: a facility that went offline changes
 * what is shown without a new report.
 */
export class NewestWord {
  private readonly known = new Map<string, Sequenced>();

  /** `incoming`, or what is known already when that is newer. */
  newest<Item extends Sequenced>(incoming: Item): Item {
    const known = this.known.get(incoming.id);
    if (known && known.sequence > incoming.sequence) return { ...incoming, ...known };
    this.known.set(incoming.id, incoming);
    return incoming;
  }

  /** The same data with every workspace in it replaced by the newest word on it. */
  apply(data: unknown): unknown {
    if (Array.isArray(data)) return data.map((item) => this.apply(item));
    if (typeof data !== 'object' || data === null) return data;
    const entries = Object.entries(data).map(([name, value]) => [name, this.apply(value)]);
    const copy = Object.fromEntries(entries) as Record<string, unknown>;
    return isWorkspace(copy) ? this.newest(copy) : copy;
  }
}

function isWorkspace(value: Record<string, unknown>): value is Record<string, unknown> & Sequenced {
  return value.__typename === 'Workspace' && typeof value.id === 'string' && typeof value.sequence === 'number';
}
