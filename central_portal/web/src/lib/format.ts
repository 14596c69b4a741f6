const VOLUMES = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte', 'petabyte'] as const;
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Data volume in decimal units, three significant digits: "7.4 GB". */
export function volume(bytes: number, locale: string): string {
  let value = Math.max(0, bytes);
  let unit = 0;
  while (value >= 999.5 && unit < VOLUMES.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return new Intl.NumberFormat(locale, {
    style: 'unit',
    unit: VOLUMES[unit],
    unitDisplay: unit === 0 ? 'long' : 'short',
    maximumSignificantDigits: 3,
  }).format(value);
}

/** Memory in binary units: "16 GiB", or MiB below one. */
export function memory(bytes: number, locale: string): string {
  const number = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
  return bytes < 2 ** 30 ? `${number.format(bytes / 2 ** 20)} MiB` : `${number.format(bytes / 2 ** 30)} GiB`;
}

/** A length of time in seconds with two units at most: "7 hr 59 min". Negative counts as zero. */
export function duration(seconds: number, locale: string): string {
  const whole = Math.max(0, Math.round(seconds));
  const parts: [number, 'day' | 'hour' | 'minute' | 'second'][] = [
    [Math.floor(whole / DAY), 'day'],
    [Math.floor((whole % DAY) / HOUR), 'hour'],
    [Math.floor((whole % HOUR) / MINUTE), 'minute'],
    [whole % MINUTE, 'second'],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  if (first === -1) return unit(0, 'second', locale);
  // Seconds beside minutes would only flicker.
  const shown = parts.slice(first, first + 2).filter(([value, name], index) => value > 0 && (index === 0 || name !== 'second'));
  return shown.map(([value, name]) => unit(value, name, locale)).join(' ');
}

function unit(value: number, name: string, locale: string): string {
  return new Intl.NumberFormat(locale, { style: 'unit', unit: name, unitDisplay: 'short' }).format(value);
}

/** Date and time in the reader's zone. */
export function instant(iso: string, locale: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(iso));
}

/** Date in the reader's zone. */
export function day(iso: string, locale: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium' }).format(new Date(iso));
}

/** Time of day in the reader's zone. */
export function clock(iso: string, locale: string): string {
  return new Intl.DateTimeFormat(locale, { timeStyle: 'short' }).format(new Date(iso));
}

/** Relative to `now` (milliseconds) within a week, "2 hours ago"; the date beyond. */
export function ago(iso: string, now: number, locale: string): string {
  const seconds = Math.round((Date.parse(iso) - now) / 1000);
  const distance = Math.abs(seconds);
  if (distance >= 7 * DAY) return day(iso, locale);
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' });
  if (distance < 45) return relative.format(0, 'second');
  if (distance < 45 * MINUTE) return relative.format(Math.round(seconds / MINUTE), 'minute');
  if (distance < 22 * HOUR) return relative.format(Math.round(seconds / HOUR), 'hour');
  return relative.format(Math.round(seconds / DAY), 'day');
}

/** A list in words: "a, b and c". */
export function listed(items: readonly string[], locale: string): string {
  return new Intl.ListFormat(locale, { type: 'conjunction' }).format(items);
}

/** A whole number with the reader's separators. */
export function count(value: number, locale: string): string {
  return new Intl.NumberFormat(locale).format(value);
}

/** Town and country: "Grenoble, France"; a two-letter country code is written out. */
export function placeName(town: string, country: string, locale: string): string {
  const isCode = /^[A-Z]{2}$/.test(country);
  const name = isCode ? (new Intl.DisplayNames(locale, { type: 'region' }).of(country) ?? country) : country;
  return [town, name].filter(Boolean).join(', ');
}
