import { doc } from '../api/doc';
import { useRead, type Reading } from '../api/read';
import type { FacilitiesQuery } from '../gql/graphql';
import { Facilities, type FacilitySummary } from './queries';

const FacilitiesDocument = doc(Facilities);

/** Every facility of the federation. */
export function useFacilities(): Reading<FacilitiesQuery> & { facilities: FacilitySummary[] } {
  const reading = useRead(FacilitiesDocument, {});
  return { ...reading, facilities: reading.data?.facilities.nodes ?? [] };
}
