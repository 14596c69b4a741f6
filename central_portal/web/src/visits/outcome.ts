import type { Outcome } from '../gql/graphql';

/** What a visit to a facility's gateway came to, as the address says it. */
export interface Visit {
  slug: string;
  outcome: Outcome;
}

// A record, so that a new outcome cannot be forgotten here; the words for them are loaded when they are needed.
const OUTCOMES: Record<Outcome, true> = {
  OK: true,
  PARTIAL: true,
  SIGN_IN_NEEDED: true,
  NOT_LINKED: true,
  DENIED: true,
  OFFLINE: true,
  TIMED_OUT: true,
  FAILED: true,
};

/** The visit in an address' parameters; null when there is none or it is not understood. */
export function visitIn(parameters: Record<string, unknown>): Visit | null {
  const { connect, outcome } = parameters;
  if (typeof connect !== 'string' || !/^[a-z][a-z0-9-]{0,39}$/.test(connect)) return null;
  if (typeof outcome !== 'string' || !Object.hasOwn(OUTCOMES, outcome)) return null;
  return { slug: connect, outcome: outcome as Outcome };
}

/** The same parameters without the visit. */
export function withoutVisit(parameters: Record<string, unknown>): Record<string, unknown> {
  const { connect: _connect, outcome: _outcome, ...rest } = parameters;
  return rest;
}
