import { graphql } from '../gql';
import type { ProposalByIdQuery, ProposalsQuery } from '../gql/graphql';

export const ProposalFields = graphql(`
  fragment ProposalFields on Proposal {
    id
    pid
    title
    instruments
    startedAt
    endedAt
    isOpen
    facility {
      id
      slug
      name
    }
  }
`);

export const Proposals = graphql(`
  query Proposals($query: ProposalInput, $after: String) {
    proposals(query: $query, first: 50, after: $after) {
      nodes {
        ...ProposalFields
      }
      outcomes {
        outcome
        count
        ageSeconds
        problem {
          code
          message
          retryable
        }
        facility {
          id
          slug
          name
          stateSince
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`);

export const ProposalById = graphql(`
  query ProposalById($id: ID!) {
    proposal(id: $id) {
      ...ProposalFields
      summary
      kind
      releasedAt
      doi
      licence
      keywords
      members {
        name
        role
        affiliation
        orcid
      }
    }
  }
`);

export type Proposal = ProposalsQuery['proposals']['nodes'][number];
export type WholeProposal = NonNullable<ProposalByIdQuery['proposal']>;
