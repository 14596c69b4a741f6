import { graphql } from '../gql';
import type { FacilitiesQuery, FacilityDetailsQuery } from '../gql/graphql';

export const LinkFields = graphql(`
  fragment LinkFields on Facility {
    id
    slug
    name
    state
    stateSince
    accountLink {
      id
      state
      checkedAt
      grant {
        scopes
        expiresAt
      }
    }
  }
`);

export const Facilities = graphql(`
  query Facilities {
    facilities(first: 50) {
      nodes {
        ...LinkFields
        place
        country
        description
        gateway
        describedAt
        instruments
        environments {
          id
          title
          usedAs
        }
      }
    }
  }
`);

export const FacilityDetails = graphql(`
  query FacilityDetails($id: ID!) {
    facility(id: $id) {
      ...LinkFields
      place
      country
      description
      website
      dataPortal
      contact
      agentVersion
      describedAt
      instruments
      openProposals
      capabilities {
        id
        kind
        title
        detail
        reportedAt
        ageSeconds
        stale
      }
      services {
        id
        title
        description
        url
      }
      environments {
        id
        slug
        title
        description
        usedAs
        carriedBy
        isolation
        software {
          name
          version
        }
        flavours {
          ...FlavourFields
        }
        recommendedFlavour {
          ...FlavourFields
        }
      }
    }
  }
`);

export const FlavourFields = graphql(`
  fragment FlavourFields on Flavour {
    id
    slug
    title
    cpus
    memory
    gpus
    storage
    longestSeconds
  }
`);

export type FacilitySummary = FacilitiesQuery['facilities']['nodes'][number];
export type FacilityFull = NonNullable<FacilityDetailsQuery['facility']>;
export type EnvironmentFull = FacilityFull['environments'][number];
export type FlavourFull = EnvironmentFull['flavours'][number];
/** What the portal knows of one's account there. */
export type LinkedFacility = Pick<FacilitySummary, 'id' | 'slug' | 'name' | 'state' | 'accountLink'>;
