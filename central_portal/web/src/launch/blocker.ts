import { mayAsk } from '../facilities/links';
import type { LinkedFacility } from '../facilities/queries';

/** What keeps a start from being worth a press, as far as the portal knows; the facility decides. */
export type Blocker = 'SIGN_IN' | 'OFFLINE' | 'LINK' | 'CONNECT';

/** The first thing to mend before a start, null when nothing is known to be in the way. */
export function blockerOf(signedIn: boolean, facility: LinkedFacility): Blocker | null {
  if (signedIn && mayAsk(facility, 'RUN')) return null;
  if (facility.state === 'OFFLINE') return 'OFFLINE';
  if (!signedIn) return 'SIGN_IN';
  if (facility.accountLink?.state === 'NOT_LINKED') return 'LINK';
  return 'CONNECT';
}
