import type { Dataset, FacilityOutcome, Slice } from './queries';
import { COMPLETENESS } from '../words/outcomes';

/** Until then results move freely; later ones wait, because somebody reads. */
export const SETTLES_MS = 1200;

/** A search as it stands on the page. */
export interface Progress {
  /** When it began, milliseconds. */
  began: number;
  /** What a person sees. */
  shown: readonly Dataset[];
  /** What has arrived; what is not `shown` waits behind a button. */
  arrived: readonly Dataset[];
  outcomes: readonly FacilityOutcome[];
  facets: Slice['facets'];
  cursor: string | null;
  done: boolean;
  /** Whether anything has arrived. */
  answered: boolean;
  /** More pages were read: a slice that comes late must not take them away. */
  paged: boolean;
}

export type Step =
  | { kind: 'slice'; slice: Slice; at: number }
  | { kind: 'reveal' }
  | { kind: 'page'; slice: Slice }
  | { kind: 'answer'; slice: Slice; byTime: boolean };

const NO_FACETS: Slice['facets'] = { facilities: [], instruments: [], proposals: [], techniques: [] };

/** Nothing asked has answered yet. */
export function beginning(began: number): Progress {
  return {
    began, shown: [], arrived: [], outcomes: [], facets: NO_FACETS, cursor: null, done: false, answered: false, paged: false,
  };
}

/** The search after a step. Slices may come twice or in any order: the one with fewer outcomes is older and dropped. */
export function advance(state: Progress, step: Step): Progress {
  switch (step.kind) {
    case 'slice':
      return slice(state, step.slice, step.at);
    case 'reveal':
      return { ...state, shown: state.arrived };
    case 'page': {
      const arrived = merged(state.arrived, step.slice.nodes);
      const outcomes = latest(state.outcomes, step.slice.outcomes, true);
      return { ...state, arrived, shown: arrived, outcomes, cursor: cursorOf(step.slice), paged: true };
    }
    case 'answer': {
      const all = merged(state.arrived, step.slice.nodes);
      // How well a dataset matches is not said: what comes late stands at the end.
      const arrived = step.byTime ? newestFirst(all) : all;
      return { ...state, arrived, shown: arrived, outcomes: latest(state.outcomes, step.slice.outcomes, false) };
    }
  }
}

/** How many datasets wait behind the button. */
export function waiting(state: Progress): number {
  const shown = new Set(state.shown.map((dataset) => dataset.id));
  return state.arrived.filter((dataset) => !shown.has(dataset.id)).length;
}

/** How many facilities answered in full, in part, or not. */
export function completeness(outcomes: readonly FacilityOutcome[]): Record<'complete' | 'part' | 'missing', number> {
  const counts = { complete: 0, part: 0, missing: 0 };
  for (const { outcome } of outcomes) counts[COMPLETENESS[outcome]] += 1;
  return counts;
}

function slice(state: Progress, incoming: Slice, at: number): Progress {
  if (state.paged || state.done || incoming.outcomes.length < state.outcomes.length) return state;
  const free = state.shown.length === 0 || at - state.began < SETTLES_MS;
  return {
    ...state,
    arrived: incoming.nodes,
    shown: free ? incoming.nodes : state.shown,
    outcomes: incoming.outcomes,
    facets: incoming.facets,
    cursor: cursorOf(incoming),
    done: incoming.done,
    answered: true,
  };
}

const cursorOf = (from: Slice): string | null => (from.pageInfo.hasNextPage ? (from.pageInfo.endCursor ?? null) : null);

function merged(first: readonly Dataset[], second: readonly Dataset[]): Dataset[] {
  return [...new Map([...first, ...second].map((dataset) => [dataset.id, dataset])).values()];
}

function newestFirst(datasets: readonly Dataset[]): Dataset[] {
  const time = (dataset: Dataset) => (dataset.startedAt ? Date.parse(dataset.startedAt) : -Infinity);
  return [...datasets].sort((a, b) => time(b) - time(a) || a.pid.localeCompare(b.pid));
}

/** Outcomes by facility, the later word wins; counts add up when it is a further page. */
function latest(known: readonly FacilityOutcome[], news: readonly FacilityOutcome[], adds: boolean): FacilityOutcome[] {
  const byFacility = new Map(known.map((outcome) => [outcome.facility.id, outcome]));
  for (const outcome of news) {
    const before = byFacility.get(outcome.facility.id);
    byFacility.set(outcome.facility.id, adds && before ? { ...outcome, count: before.count + outcome.count } : outcome);
  }
  return [...byFacility.values()];
}
