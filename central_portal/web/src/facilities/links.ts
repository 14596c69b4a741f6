import type { Scope } from '../gql/graphql';
import type { LinkedFacility } from './queries';

/** Whether the portal may do `scope` there in one's name, as far as it knows. */
export function mayAsk(facility: LinkedFacility, scope: Scope, now: number): boolean {
  const grant = facility.accountLink?.grant;
  return !!grant && grant.scopes.includes(scope) && Date.parse(grant.expiresAt) > now;
}

/** What a person should do about their account there: nothing, link it, or sign in there again. */
export function linkMend(facility: LinkedFacility, now: number): 'NONE' | 'LINK' | 'CONNECT' {
  const link = facility.accountLink;
  if (!link) return 'NONE';
  if (link.state === 'NOT_LINKED') return 'LINK';
  return mayAsk(facility, 'READ', now) ? 'NONE' : 'CONNECT';
}
