import { describe, expect, it } from 'vitest';
import {
  dayBegins, dayEnds, filterCount, formatAddress, launchAddress, parseAddress, searchAddress, type SearchAddress,
} from '../src/lib/address';
import { searchInput } from '../src/search/input';

const roundTrip = (address: SearchAddress) => searchAddress(parseAddress(formatAddress({ ...address })));

describe('the search’s address', () => {
  it.each<SearchAddress>([
    {},
    { q: 'silver behenate' },
    { q: 'a&b=c#d %2F "quoted" 日本語 +' },
    { facility: ['alpha'] },
    { facility: ['alpha', 'beta-2'], instrument: ['P02, powder', 'ID15A/B'], proposal: ['GUP26110'] },
    { from: '2024-02-29', to: '2025-01-01' },
    { q: 'silk', technique: ['x-ray absorption spectroscopy', 'SAXS/WAXS'], sample: 'silver & gold', sort: 'relevance' },
  ])('comes back as it was: %j', (address) => {
    expect(roundTrip(address)).toEqual(address);
  });

  it('is flat and readable', () => {
    expect(formatAddress({ q: 'silk', facility: ['alpha', 'beta'], from: undefined, to: '' })).toBe(
      '?q=silk&facility=alpha&facility=beta',
    );
    expect(formatAddress({})).toBe('');
  });

  it('leaves out what it does not understand', () => {
    expect(searchAddress(parseAddress('?facility=Alpha&facility=../etc&facility=<b>&from=2024-02-30&to=tomorrow&x=1'))).toEqual({});
    expect(searchAddress({ q: 5, facility: { a: 1 }, instrument: [null, 7, ''], proposal: 'a\u0000b', from: '24-1-1' })).toEqual({});
    expect(searchAddress(parseAddress('?__proto__=x&constructor=y&q=ok'))).toEqual({ q: 'ok' });
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  it('is bounded', () => {
    const many = Array.from({ length: 500 }, (_, index) => `f${index}`);
    expect(searchAddress({ q: 'x'.repeat(5000) }).q).toHaveLength(200);
    expect(searchAddress({ facility: many }).facility).toHaveLength(50);
    expect(searchAddress({ instrument: 'x'.repeat(101) })).toEqual({});
    expect(searchAddress({ technique: ['x'.repeat(201), 'y'.repeat(200)] })).toEqual({ technique: ['y'.repeat(200)] });
    expect(searchAddress({ sample: 'x'.repeat(500) }).sample).toHaveLength(200);
    expect(searchAddress({ sort: 'price', sample: 'a\u0000b' })).toEqual({});
  });

  it('puts reversed dates right', () => {
    expect(searchAddress({ from: '2025-01-02', to: '2024-01-02' })).toEqual({ from: '2024-01-02', to: '2025-01-02' });
  });

  it('counts its filters without the text', () => {
    expect(filterCount({ q: 'x', facility: ['a', 'b'], from: '2024-01-01' })).toBe(3);
    expect(filterCount({ q: 'x', technique: ['a', 'b'], sample: 's', sort: 'relevance' })).toBe(3);
  });
});

describe('the question to the centre', () => {
  const facilities = [
    { id: 'F:1', slug: 'alpha' },
    { id: 'F:2', slug: 'beta' },
  ];

  it('names facilities by id and days by their first and last instant here', () => {
    const address = { q: 'silk', facility: ['beta'], from: '2024-06-01', to: '2024-06-01' };
    expect(searchInput(address, facilities)).toEqual({
      text: 'silk',
      facilities: ['F:2'],
      since: '2024-05-31T22:00:00.000Z',
      until: '2024-06-01T21:59:59.999Z',
    });
    expect(Date.parse(dayEnds('2024-03-31')) - Date.parse(dayBegins('2024-03-31'))).toBe(23 * 3_600_000 - 1);
  });

  it('carries techniques, sample and order, the order only with words that could match', () => {
    const address = { q: 'silk', technique: ['tomography'], sample: 'gold', sort: 'relevance' as const };
    expect(searchInput(address, [])).toEqual({ text: 'silk', techniques: ['tomography'], sample: 'gold', order: 'RELEVANCE' });
    expect(searchInput({ sort: 'relevance' }, [])).toEqual({ text: '' });
  });

  it('asks everybody for everything by default', () => {
    expect(searchInput({}, facilities)).toEqual({ text: '' });
  });
});

describe('a deep link to a start', () => {
  it('comes back as it was', () => {
    const link = {
      facility: 'alpha', dataset: 'RGF0YXNldDphOjE=', environment: 'jupyter', flavour: 'small', proposal: ['A/1', 'B 2'], title: 'x & y',
      lifetime: 3600,
    };
    expect(launchAddress(parseAddress(formatAddress(link)))).toEqual(link);
  });

  it('takes no wish that could not be meant', () => {
    expect(launchAddress({ lifetime: '1e9', facility: 'A B', title: ['a', 'b'] })).toEqual({ title: 'a' });
    expect(launchAddress({ lifetime: '59' })).toEqual({});
    expect(launchAddress({ lifetime: '3.5' })).toEqual({});
    expect(launchAddress({ proposal: Array.from({ length: 40 }, (_, index) => `P${index}`) }).proposal).toHaveLength(20);
  });
});
