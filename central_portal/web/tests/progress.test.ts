import { describe, expect, it } from 'vitest';
import type { Outcome } from '../src/gql/graphql';
import { choices, facilityChoices } from '../src/search/facets';
import { advance, beginning, completeness, SETTLES_MS, waiting, type Progress } from '../src/search/progress';
import type { Dataset, FacilityOutcome, Slice } from '../src/search/queries';

const facility = (slug: string) => ({ id: `F:${slug}`, slug, name: slug, state: 'ONLINE' as const, stateSince: null });

function dataset(slug: string, index: number): Dataset {
  return {
    id: `D:${slug}:${index}`, pid: `${slug}/${index}`, title: `${slug} ${index}`, proposal: 'P', instrument: 'I', sample: '', definition: '',
    startedAt: new Date(Date.UTC(2026, 0, 28 - index)).toISOString(), endedAt: null, sizeBytes: 1, files: 1, isOpen: true,
    facility: facility(slug),
  };
}

const outcome = (slug: string, how: Outcome = 'OK', count = 1): FacilityOutcome => ({
  facility: facility(slug), outcome: how, count, ageSeconds: null, problem: null,
});

function slice(outcomes: FacilityOutcome[], nodes: Dataset[], done = false, cursor: string | null = null): Slice {
  return {
    done, nodes, outcomes, facets: { facilities: [], instruments: [], proposals: [], techniques: [] },
    pageInfo: { hasNextPage: cursor !== null, endCursor: cursor },
  };
}

const arrive = (state: Progress, incoming: Slice, at: number) => advance(state, { kind: 'slice', slice: incoming, at });
const ids = (datasets: readonly Dataset[]) => datasets.map((each) => each.id);

const a = slice([outcome('a')], [dataset('a', 1)]);
const ab = slice([outcome('a'), outcome('b')], [dataset('b', 0), dataset('a', 1)]);
const abc = slice([outcome('a'), outcome('b'), outcome('c', 'OFFLINE', 0)], [dataset('b', 0), dataset('a', 1)], true, 'next');

describe('slices of a search', () => {
  it('merge freely while the search is young', () => {
    const state = arrive(arrive(beginning(0), a, 100), ab, SETTLES_MS - 1);
    expect(ids(state.shown)).toEqual(['D:b:0', 'D:a:1']);
    expect(waiting(state)).toBe(0);
  });

  it('wait behind a button later, so that what is read does not move', () => {
    const late = arrive(arrive(beginning(0), a, 100), ab, SETTLES_MS);
    expect(ids(late.shown)).toEqual(['D:a:1']);
    expect(waiting(late)).toBe(1);
    const shown = advance(late, { kind: 'reveal' });
    expect(ids(shown.shown)).toEqual(['D:b:0', 'D:a:1']);
    expect(waiting(shown)).toBe(0);
  });

  it('show the first results at once, however late they come', () => {
    expect(ids(arrive(beginning(0), ab, 60_000).shown)).toEqual(['D:b:0', 'D:a:1']);
  });

  it('do no harm when they come twice or in another order', () => {
    const straight = [a, ab, abc].reduce((state, each) => arrive(state, each, 10), beginning(0));
    for (const order of [[a, a, ab, ab, abc, abc], [ab, a, abc], [abc, ab, a], [a, abc, ab, abc]]) {
      const state = order.reduce((before, each) => arrive(before, each, 10), beginning(0));
      expect(state).toEqual(straight);
    }
    expect(straight.done).toBe(true);
    expect(straight.cursor).toBe('next');
  });

  it('do not take a further page away', () => {
    const paged = advance(arrive(beginning(0), abc, 10), { kind: 'page', slice: slice([outcome('a')], [dataset('a', 1), dataset('a', 5)]) });
    expect(ids(paged.shown)).toEqual(['D:b:0', 'D:a:1', 'D:a:5']);
    expect(paged.cursor).toBeNull();
    expect(arrive(paged, abc, 20)).toBe(paged);
    expect(paged.outcomes.map((each) => [each.facility.slug, each.count])).toEqual([['a', 2], ['b', 1], ['c', 0]]);
  });
});

describe('a facility that is asked again', () => {
  it('adds its datasets in their place and replaces its outcome only', () => {
    const before = arrive(beginning(0), abc, 10);
    const after = advance(before, { kind: 'answer', slice: slice([outcome('c', 'OK', 2)], [dataset('c', 0), dataset('c', 3)], true), byTime: true });
    expect(ids(after.shown)).toEqual(['D:b:0', 'D:c:0', 'D:a:1', 'D:c:3']);
    expect(after.outcomes.map((each) => each.outcome)).toEqual(['OK', 'OK', 'OK']);
    expect(after.cursor).toBe('next');
  });

  it('adds its datasets at the end when the best match comes first, for nobody can tell how well they match', () => {
    const before = arrive(beginning(0), abc, 10);
    const after = advance(before, { kind: 'answer', slice: slice([outcome('c', 'OK', 1)], [dataset('c', 0)], true), byTime: false });
    expect(ids(after.shown)).toEqual(['D:b:0', 'D:a:1', 'D:c:0']);
  });
});

describe('completeness', () => {
  it('counts what answered in part as part', () => {
    const all: Outcome[] = ['OK', 'PARTIAL', 'SIGN_IN_NEEDED', 'NOT_LINKED', 'DENIED', 'OFFLINE', 'TIMED_OUT', 'FAILED'];
    expect(completeness(all.map((how, index) => outcome(`f${index}`, how)))).toEqual({ complete: 1, part: 3, missing: 4 });
  });
});

describe('the values of a filter', () => {
  it('keep what is chosen and what was seen', () => {
    const facets = [{ id: 'x', title: 'P1', count: 4 }];
    expect(choices(facets, ['P2', 'P1', ''], ['P0'])).toEqual([
      { value: 'P0', title: 'P0', count: null },
      { value: 'P1', title: 'P1', count: 4 },
      { value: 'P2', title: 'P2', count: null },
    ]);
  });

  it('list every facility, answered or not', () => {
    const facets = [{ id: 'F:a', title: 'a', count: 2 }];
    expect(facilityChoices([facility('a'), facility('b')], facets).map((each) => each.count)).toEqual([2, null]);
  });
});
