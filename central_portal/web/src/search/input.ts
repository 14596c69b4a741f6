import type { SearchInput } from '../gql/graphql';
import { dayBegins, dayEnds, type SearchAddress } from '../lib/address';

/** The question that an address asks; facilities are named by slug there and by id here. */
export function searchInput(address: SearchAddress, facilities: readonly { id: string; slug: string }[]): SearchInput {
  const chosen = facilities.filter((facility) => address.facility?.includes(facility.slug)).map((facility) => facility.id);
  return {
    text: address.q ?? '',
    ...(chosen.length ? { facilities: chosen } : {}),
    ...(address.instrument ? { instruments: address.instrument } : {}),
    ...(address.proposal ? { proposals: address.proposal } : {}),
    ...(address.technique ? { techniques: address.technique } : {}),
    ...(address.sample ? { sample: address.sample } : {}),
    ...(address.from ? { since: dayBegins(address.from) } : {}),
    ...(address.to ? { until: dayEnds(address.to) } : {}),
    // Without words no dataset matches better than another.
    ...(address.sort === 'relevance' && address.q ? { order: 'RELEVANCE' as const } : {}),
  };
}
