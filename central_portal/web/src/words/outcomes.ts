import { msg } from '@lingui/core/macro';
import type { Outcome } from '../gql/graphql';
import type { Wording } from './wording';

/** What a search's outcome at one facility is said as. `name` is the facility's, `count` what it gave. */
export const OUTCOMES: Record<Outcome, (name: string, count: number) => Wording> = {
  OK: (name, count) => ({
    tone: 'ok',
    text: msg`${name}: ${count} found.`,
    mend: 'NONE',
  }),
  PARTIAL: (name, count) => ({
    tone: 'warn',
    text: msg`${name}: ${count} found so far; part of its catalogue did not answer.`,
    mend: 'ASK_AGAIN',
  }),
  SIGN_IN_NEEDED: (name) => ({
    tone: 'info',
    text: msg`${name}: open data only. Sign in there to include your own data.`,
    mend: 'CONNECT',
  }),
  NOT_LINKED: (name) => ({
    tone: 'info',
    text: msg`${name}: open data only. Link your account there to include your own data.`,
    mend: 'LINK',
  }),
  DENIED: (name) => ({
    tone: 'idle',
    text: msg`${name}: your account there is not allowed to search this catalogue. Its user office can change that.`,
    mend: 'NONE',
  }),
  OFFLINE: (name) => ({
    tone: 'bad',
    text: msg`${name} is not connected at the moment; its data is missing from these results.`,
    mend: 'ASK_AGAIN',
  }),
  TIMED_OUT: (name) => ({
    tone: 'warn',
    text: msg`${name} did not answer in time; its data is missing from these results.`,
    mend: 'ASK_AGAIN',
  }),
  FAILED: (name) => ({
    tone: 'bad',
    text: msg`${name} could not search because of a fault on its side; its data is missing from these results.`,
    mend: 'ASK_AGAIN',
  }),
};

/** The same of a list of one's own proposals. */
export const PROPOSAL_OUTCOMES: Record<Outcome, (name: string, count: number) => Wording> = {
  ...OUTCOMES,
  SIGN_IN_NEEDED: (name) => ({ tone: 'info', text: msg`${name}: sign in there to see your proposals.`, mend: 'CONNECT' }),
  NOT_LINKED: (name) => ({ tone: 'info', text: msg`${name}: link your account there to see your proposals.`, mend: 'LINK' }),
  OFFLINE: (name) => ({
    tone: 'bad', text: msg`${name} is not connected at the moment; your proposals there are missing from this list.`, mend: 'ASK_AGAIN',
  }),
  TIMED_OUT: (name) => ({
    tone: 'warn', text: msg`${name} did not answer in time; your proposals there are missing from this list.`, mend: 'ASK_AGAIN',
  }),
  FAILED: (name) => ({
    tone: 'bad', text: msg`${name} could not look because of a fault on its side; your proposals there are missing from this list.`, mend: 'ASK_AGAIN',
  }),
};

/** What is said of open data that the portal kept and that are not all there is. */
export const partOfCopy = (name: string, count: number): Wording => ({
  tone: 'warn', text: msg`${name}: ${count} found in the portal’s copy of its open data; there may be more.`, mend: 'ASK_AGAIN',
});

/** How much of a facility's data an outcome stands for. */
export const COMPLETENESS: Record<Outcome, 'complete' | 'part' | 'missing'> = {
  OK: 'complete',
  PARTIAL: 'part',
  SIGN_IN_NEEDED: 'part',
  NOT_LINKED: 'part',
  DENIED: 'missing',
  OFFLINE: 'missing',
  TIMED_OUT: 'missing',
  FAILED: 'missing',
};

/** What a visit to a facility's own sign-in came to. */
export const VISITS: Record<Outcome, (name: string) => Wording> = {
  OK: (name) => ({ tone: 'ok', text: msg`${name} has let you in. Your own data there is included now.`, mend: 'NONE' }),
  PARTIAL: (name) => ({ tone: 'warn', text: msg`${name} let you in, but not for everything that was asked.`, mend: 'CONNECT' }),
  SIGN_IN_NEEDED: (name) => ({ tone: 'warn', text: msg`The sign-in at ${name} was not finished.`, mend: 'CONNECT' }),
  NOT_LINKED: (name) => ({ tone: 'warn', text: msg`No account at ${name} is linked to you yet.`, mend: 'LINK' }),
  DENIED: (name) => ({ tone: 'idle', text: msg`${name} was not allowed to let the portal ask in your name.`, mend: 'CONNECT' }),
  OFFLINE: (name) => ({ tone: 'bad', text: msg`${name} is not connected at the moment, so the visit there could not be completed.`, mend: 'CONNECT' }),
  TIMED_OUT: (name) => ({ tone: 'warn', text: msg`${name} did not answer in time, so the visit there could not be completed.`, mend: 'CONNECT' }),
  FAILED: (name) => ({ tone: 'bad', text: msg`The visit to ${name} failed because of a fault on its side.`, mend: 'CONNECT' }),
};
