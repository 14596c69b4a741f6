import { msg } from '@lingui/core/macro';
import type { CombinedError } from 'urql';
import type { Mend, Wording } from './wording';

/** Why something did not work, as the centre says it. */
export interface ProblemData {
  code: string;
  message: string;
  retryable: boolean;
}

/** Every reason of `shared/errors.py`; a test compares the two. */
export const REASONS = [
  'INTERNAL', 'INVALID_REQUEST', 'NOT_FOUND', 'CONFLICT', 'UNAUTHENTICATED', 'SIGN_IN_NEEDED', 'ACCOUNT_NOT_LINKED',
  'ACCESS_DENIED', 'PROPOSAL_DENIED', 'SCOPE_DENIED', 'CODE_NOT_VALID', 'IDENTITY_REFUSED', 'EXPIRED', 'REPLAYED', 'QUOTA_EXCEEDED',
  'FLAVOUR_TOO_LARGE', 'RATE_LIMITED', 'UNSUPPORTED', 'FACILITY_UNAVAILABLE', 'DEADLINE_EXCEEDED', 'BACKEND_FAILED',
  'BACKEND_UNAVAILABLE', 'DATA_NOT_ONLINE', 'NO_PLACE_FOR_RESULTS',
] as const;
export type Reason = (typeof REASONS)[number];

/** `says`: the server's own sentence tells more than the catalogue's and is shown beside it. */
export interface ProblemWording extends Wording {
  says: boolean;
}

type Write = (name: string) => ProblemWording;
const bad = (text: Wording['text'], mend: Mend = 'NONE', says = false): ProblemWording => ({ tone: 'bad', text, mend, says });
const warn = (text: Wording['text'], mend: Mend = 'NONE', says = false): ProblemWording => ({ tone: 'warn', text, mend, says });

/** What each reason is said as. `name` is the facility's. */
export const PROBLEMS: Record<Reason, Write> = {
  INTERNAL: () => bad(msg`This did not work because of a fault on the portal’s side.`, 'ASK_AGAIN'),
  INVALID_REQUEST: () => warn(msg`Something in this request is not valid.`, 'NONE', true),
  NOT_FOUND: (name) => warn(msg`${name} no longer offers what was asked for.`, 'NONE', true),
  CONFLICT: () => warn(msg`This does not fit what was asked before. Close the form and open it again.`),
  UNAUTHENTICATED: () => warn(msg`You are not signed in to the portal any more.`, 'SIGN_IN'),
  SIGN_IN_NEEDED: (name) => warn(msg`${name} asks you to sign in there first. You come back to this form.`, 'CONNECT'),
  ACCOUNT_NOT_LINKED: (name) => warn(msg`You have no linked account at ${name} yet. You come back to this form.`, 'LINK'),
  ACCESS_DENIED: (name) => bad(msg`${name} does not allow this for your account. Its user office can change that.`, 'NONE', true),
  PROPOSAL_DENIED: (name) => bad(msg`Your account at ${name} is not a member of this proposal. Its main proposer can add you.`, 'NONE', true),
  SCOPE_DENIED: (name) => warn(msg`You have not allowed the portal to do this at ${name}. Sign in there to allow it.`, 'CONNECT'),
  CODE_NOT_VALID: (name) => warn(msg`This way in at ${name} was used already or is too old. Open it again from the portal.`),
  IDENTITY_REFUSED: (name) => bad(msg`${name} could not establish a usable account for you. Its user office can help.`, 'NONE', true),
  EXPIRED: (name) => warn(msg`${name} has not received this in time, so nothing was started.`, 'ASK_AGAIN'),
  REPLAYED: () => warn(msg`This was asked once already. What came of it is in your workspaces.`),
  QUOTA_EXCEEDED: (name) => bad(msg`Your limit at ${name} is reached. Stop a workspace or choose a smaller size.`, 'NONE', true),
  FLAVOUR_TOO_LARGE: (name) => bad(msg`${name} does not offer this size for so long. Choose a smaller size or an earlier end.`, 'NONE', true),
  DATA_NOT_ONLINE: (name) => warn(msg`The data of this dataset are not on the disks of ${name}. Have them restored on its page first.`, 'NONE', true),
  NO_PLACE_FOR_RESULTS: (name) => bad(msg`${name} has no folder for results of this proposal that your account may use. Its operators can make one.`),
  RATE_LIMITED: () => warn(msg`Too many requests came at once. Wait a moment.`, 'ASK_AGAIN'),
  UNSUPPORTED: (name) => bad(msg`${name} does not offer this.`, 'NONE', true),
  FACILITY_UNAVAILABLE: (name) => bad(msg`${name} is not connected at the moment. Nothing was changed there.`, 'ASK_AGAIN'),
  DEADLINE_EXCEEDED: (name) => warn(msg`${name} did not answer in time. It may still carry this out; your workspaces show what comes of it.`, 'ASK_AGAIN'),
  BACKEND_FAILED: (name) => bad(msg`${name} could not do this because of a fault on its side.`, 'ASK_AGAIN', true),
  BACKEND_UNAVAILABLE: (name) => warn(msg`A system at ${name} does not answer at the moment.`, 'ASK_AGAIN', true),
};

const isReason = (code: string): code is Reason => (REASONS as readonly string[]).includes(code);

/** The catalogue's wording of a problem, null for a code that this client does not know. */
export function wordingOf(problem: ProblemData, name: string): ProblemWording | null {
  return isReason(problem.code) ? PROBLEMS[problem.code](name) : null;
}

/** A failed operation as a problem; null when the centre was not reached, so that nobody knows. */
export function problemOf(error: CombinedError | undefined): ProblemData | null {
  const first = error?.graphQLErrors[0];
  if (!first) return null;
  const { code, retryable } = first.extensions as { code?: unknown; retryable?: unknown };
  return {
    code: typeof code === 'string' ? code : 'INTERNAL',
    message: first.message,
    retryable: retryable === true,
  };
}

/** Why a sign-in to the portal ended without one; the centre's codes. */
export const SIGN_IN_FAILURES = {
  UNKNOWN_PROVIDER: msg`This way to sign in is not offered here.`,
  PROVIDER_UNREACHABLE: msg`The sign-in service does not answer at the moment.`,
  PROVIDER_REFUSED: msg`The sign-in service gave an answer that could not be verified.`,
  ACCESS_DENIED: msg`The sign-in was cancelled.`,
  NO_SUCH_ATTEMPT: msg`This sign-in was begun too long ago or in another browser.`,
  SIGNED_OUT_MEANWHILE: msg`You signed out while this sign-in was under way.`,
} as const;
