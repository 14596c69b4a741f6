import { describe, expect, it } from 'vitest';
import { ago, day, duration, instant, listed, memory, placeName, volume } from '../src/lib/format';

const LOCALES = ['en-GB', 'en-US', 'de-DE', 'fr-FR'];
const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, ' ');

describe('volume', () => {
  it('uses decimal units with three digits', () => {
    expect(plain(volume(7_412_000_000, 'en-GB'))).toBe('7.41 GB');
    expect(plain(volume(1000, 'en-GB'))).toBe('1 kB');
    expect(plain(volume(512, 'en-GB'))).toBe('512 bytes');
    expect(plain(volume(0, 'en-GB'))).toBe('0 bytes');
  });

  it('never shows four digits before the unit changes, up to the largest', () => {
    for (const locale of LOCALES) {
      for (let power = 0; power < 17.5; power += 0.01) {
        const number = volume(10 ** power, locale).replace(/[^0-9.,]/g, '').split(/[.,]/)[0] ?? '';
        expect(number.length, `10^${power} in ${locale}`).toBeLessThanOrEqual(3);
      }
    }
  });

  it('does not show a negative size', () => {
    expect(plain(volume(-5, 'en-GB'))).toBe('0 bytes');
  });
});

describe('memory', () => {
  it('uses binary units', () => {
    expect(memory(16 * 2 ** 30, 'en-GB')).toBe('16 GiB');
    expect(memory(1.5 * 2 ** 30, 'de-DE')).toBe('1,5 GiB');
    expect(memory(512 * 2 ** 20, 'en-GB')).toBe('512 MiB');
  });
});

describe('duration', () => {
  it('shows two units at most and no seconds beside minutes', () => {
    expect(plain(duration(41 * 60 + 12, 'en-US'))).toBe('41 min');
    expect(plain(duration(7 * 3600 + 59 * 60, 'en-US'))).toBe('7 hr 59 min');
    expect(plain(duration(2 * 86_400 + 3 * 3600 + 59 * 60, 'en-US'))).toBe('2 days 3 hr');
    expect(plain(duration(86_400 + 59 * 60, 'en-US'))).toBe('1 day');
    expect(plain(duration(9, 'en-US'))).toBe('9 sec');
  });

  it('counts what is over, or not a whole second, as zero', () => {
    expect(plain(duration(-100, 'en-US'))).toBe('0 sec');
    expect(plain(duration(0.2, 'en-US'))).toBe('0 sec');
  });
});

describe('ago', () => {
  const now = Date.parse('2026-06-15T12:00:00Z');
  const before = (seconds: number) => new Date(now - seconds * 1000).toISOString();

  it('is relative within a week and a date beyond', () => {
    expect(ago(before(5), now, 'en-GB')).toBe('now');
    expect(ago(before(120), now, 'en-GB')).toBe('2 minutes ago');
    expect(ago(before(7200), now, 'en-GB')).toBe('2 hours ago');
    expect(ago(before(3 * 86_400), now, 'en-GB')).toBe('3 days ago');
    expect(ago(before(8 * 86_400), now, 'en-GB')).toBe('7 Jun 2026');
  });

  it('says something in every locale at every distance', () => {
    for (const locale of LOCALES) {
      for (let seconds = -1e6; seconds < 1e6; seconds += 9973) {
        expect(ago(before(seconds), now, locale)).toMatch(/\S/);
      }
    }
  });
});

describe('instants', () => {
  it('are shown in the reader’s zone', () => {
    expect(instant('2026-06-15T22:30:00Z', 'en-GB')).toBe('16 Jun 2026, 00:30');
    expect(day('2026-06-15T22:30:00Z', 'en-GB')).toBe('16 Jun 2026');
    expect(instant('2026-01-15T22:30:00Z', 'en-GB')).toBe('15 Jan 2026, 23:30');
  });
});

describe('listed', () => {
  it('joins in words', () => {
    expect(listed(['a', 'b', 'c'], 'en-GB')).toBe('a, b and c');
    expect(listed([], 'en-GB')).toBe('');
  });
});

describe('placeName', () => {
  it('writes a country code out and leaves anything else as it is', () => {
    expect(placeName('Grenoble', 'FR', 'en-GB')).toBe('Grenoble, France');
    expect(placeName('Lund', 'Sweden', 'en-GB')).toBe('Lund, Sweden');
    expect(placeName('', '', 'en-GB')).toBe('');
  });
});
