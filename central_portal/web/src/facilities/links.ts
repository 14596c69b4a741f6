import type { Scope } from '../gql/graphql';
import type { LinkedFacility } from './queries';

/**
 * Whether the portal may do `scope` there in one's name, as far as it knows. The centre names living
 * grants only; this browser's clock, which may be wrong, decides nothing.
 */
export function mayAsk(facility: LinkedFacility, scope: Scope): boolean {
  return facility.accountLink?.grant?.scopes.includes(scope) ?? false;
}

/** What a person should do about their account there: nothing, link it, or sign in there again. */
export function linkMend(facility: LinkedFacility): 'NONE' | 'LINK' | 'CONNECT' {
  const link = facility.accountLink;
  if (!link) return 'NONE';
  if (link.state === 'NOT_LINKED') return 'LINK';
  return mayAsk(facility, 'READ') ? 'NONE' : 'CONNECT';
}
