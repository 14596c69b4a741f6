/** What a search's address says: flat, readable, repeated names for lists. Dates are calendar days, YYYY-MM-DD. */
export interface SearchAddress {
  q?: string;
  facility?: string[];
  instrument?: string[];
  proposal?: string[];
  /** By PaNET's label; narrower ones are found too. */
  technique?: string[];
  /** Words of the sample. */
  sample?: string;
  from?: string;
  to?: string;
  /** Newest first if left out. */
  sort?: 'relevance';
}

/** What the address of the list of proposals says. */
export interface ProposalsAddress {
  q?: string;
}

/** What a deep link to a start may fill in. Everything is checked again by the facility. */
export interface LaunchAddress {
  facility?: string;
  dataset?: string;
  environment?: string;
  flavour?: string;
  proposal?: string[];
  title?: string;
  /** Seconds. */
  lifetime?: number;
}

/** What a link of a facility's own data portal names: an identifier or a DOI, and where it leads. */
export interface OpenAddress {
  pid?: string;
  doi?: string;
  facility?: string;
  to?: 'launch';
}

export type RawAddress = Record<string, string | string[] | undefined>;

const LONGEST_TEXT = 200;
const LONGEST_NAME = 100;
const MOST_NAMES = 50;
const MOST_PROPOSALS_MOUNTED = 20;
const CONTROL = /[\u0000-\u001f\u007f]/;

/** The query part of an address; a name that comes twice becomes a list. */
export function parseAddress(query: string): RawAddress {
  const parameters = new URLSearchParams(query);
  const raw: RawAddress = {};
  for (const name of new Set(parameters.keys())) {
    const values = parameters.getAll(name);
    // defineProperty: a hostile "__proto__" stays an ordinary name.
    const value = values.length > 1 ? values : values[0];
    Object.defineProperty(raw, name, { value, enumerable: true, configurable: true, writable: true });
  }
  return raw;
}

/** The query part for `parameters`, "" when there are none; what is undefined or empty is left out. */
export function formatAddress(parameters: Record<string, unknown>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== null && each !== '') query.append(name, String(each));
    }
  }
  const text = query.toString().replaceAll('%2F', '/').replaceAll('%3A', ':');
  return text ? `?${text}` : '';
}

/** A search's address from untrusted parameters: what is not understood is left out. */
export function searchAddress(raw: Record<string, unknown>): SearchAddress {
  const from = calendarDay(raw.from);
  const to = calendarDay(raw.to);
  const reversed = from !== undefined && to !== undefined && from > to;
  return defined({
    q: text(raw.q, LONGEST_TEXT),
    facility: slugs(raw.facility),
    instrument: names(raw.instrument, MOST_NAMES),
    proposal: names(raw.proposal, MOST_NAMES),
    technique: names(raw.technique, MOST_NAMES, LONGEST_TEXT),
    sample: text(raw.sample, LONGEST_TEXT),
    from: reversed ? to : from,
    to: reversed ? from : to,
    sort: raw.sort === 'relevance' ? ('relevance' as const) : undefined,
  });
}

/** The address of the list of proposals from untrusted parameters. */
export function proposalsAddress(raw: Record<string, unknown>): ProposalsAddress {
  return defined({ q: text(raw.q, LONGEST_TEXT) });
}

/** A deep link's wishes from untrusted parameters. */
export function launchAddress(raw: Record<string, unknown>): LaunchAddress {
  return defined({
    facility: slugs(raw.facility)?.[0],
    dataset: text(raw.dataset, 1000),
    environment: text(raw.environment, LONGEST_NAME),
    flavour: text(raw.flavour, LONGEST_NAME),
    proposal: names(raw.proposal, MOST_PROPOSALS_MOUNTED),
    title: text(raw.title, LONGEST_TEXT),
    lifetime: wholeNumber(raw.lifetime, 60, 30 * 86_400),
  });
}

/** A link's words from untrusted parameters. An identifier is never cut: another name is another thing. */
export function openAddress(raw: Record<string, unknown>): OpenAddress {
  const pid = identifier(raw.pid);
  return defined({
    pid,
    doi: pid === undefined ? identifier(raw.doi) : undefined,
    facility: slugs(raw.facility)?.[0],
    to: raw.to === 'launch' ? ('launch' as const) : undefined,
  });
}

/** How many filters narrow a search beside its text. */
export function filterCount(address: SearchAddress): number {
  const lists = [address.facility, address.instrument, address.proposal, address.technique];
  const single = [address.sample, address.from, address.to].filter(Boolean).length;
  return lists.reduce((sum, list) => sum + (list?.length ?? 0), single);
}

/** First instant of a calendar day in the reader's zone, as ISO 8601. */
export function dayBegins(calendar: string): string {
  return new Date(`${calendar}T00:00:00`).toISOString();
}

/** Last instant of a calendar day in the reader's zone, as ISO 8601. */
export function dayEnds(calendar: string): string {
  return new Date(`${calendar}T23:59:59.999`).toISOString();
}

function text(value: unknown, longest: number): string | undefined {
  const first = Array.isArray(value) ? value[0] : value;
  if (typeof first !== 'string' || CONTROL.test(first)) return undefined;
  return first.slice(0, longest) || undefined;
}

function identifier(value: unknown): string | undefined {
  const whole = typeof value === 'string' ? value.trim() : '';
  return whole && whole.length <= LONGEST_TEXT && !CONTROL.test(whole) ? whole : undefined;
}

function names(value: unknown, most: number, longest = LONGEST_NAME): string[] | undefined {
  const all = (Array.isArray(value) ? value : [value]).map((each) => (typeof each === 'string' ? each.trim() : ''));
  const fit = all.filter((each) => each && each.length <= longest && !CONTROL.test(each));
  return fit.length ? [...new Set(fit)].slice(0, most) : undefined;
}

function slugs(value: unknown): string[] | undefined {
  const fit = names(value, MOST_NAMES)?.filter((each) => /^[a-z][a-z0-9-]{0,39}$/.test(each));
  return fit?.length ? fit : undefined;
}

function calendarDay(value: unknown): string | undefined {
  const day = text(value, 10);
  if (!day || !/^\d{4}-\d{2}-\d{2}$/.test(day)) return undefined;
  const instant = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(instant.getTime()) && instant.toISOString().startsWith(day) ? day : undefined;
}

function wholeNumber(value: unknown, least: number, most: number): number | undefined {
  const number = typeof value === 'number' ? value : Number(text(value, 10) ?? NaN);
  return Number.isInteger(number) && number >= least && number <= most ? number : undefined;
}

function defined<Value extends object>(value: Value): Value {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as Value;
}
