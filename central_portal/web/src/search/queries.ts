import { graphql } from '../gql';
import type { DatasetByIdQuery, SearchProgressSubscription } from '../gql/graphql';

export const DatasetFields = graphql(`
  fragment DatasetFields on Dataset {
    id
    pid
    title
    proposal
    instrument
    sample
    definition
    startedAt
    endedAt
    sizeBytes
    files
    isOpen
    facility {
      id
      slug
      name
      state
    }
  }
`);

export const SearchFields = graphql(`
  fragment SearchFields on SearchResult {
    done
    nodes {
      ...DatasetFields
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
    facets {
      facilities {
        id
        title
        count
      }
      instruments {
        id
        title
        count
      }
      proposals {
        id
        title
        count
      }
      techniques {
        id
        title
        count
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
`);

export const SearchProgress = graphql(`
  subscription SearchProgress($query: SearchInput!) {
    searchProgress(query: $query, first: 50) {
      ...SearchFields
    }
  }
`);

export const SearchPageOf = graphql(`
  query SearchPage($query: SearchInput!, $after: String) {
    search(query: $query, first: 50, after: $after) {
      ...SearchFields
    }
  }
`);

export const TechniquesLike = graphql(`
  query TechniquesLike($text: String!) {
    techniques(text: $text) {
      id
      title
    }
  }
`);

export const DatasetById = graphql(`
  query DatasetById($id: ID!) {
    node(id: $id) {
      ... on Dataset {
        ...DatasetFields
        proposalId
        techniques {
          id
          title
        }
        keywords
        parameters {
          name
          number
          text
          unit
        }
        doi
        licence
        releasedAt
        archiveState
        isRestorable
      }
    }
  }
`);

export const FilesOf = graphql(`
  query FilesOf($dataset: ID!, $after: String) {
    files(dataset: $dataset, first: 50, after: $after) {
      nodes {
        path
        sizeBytes
      }
      totalCount
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`);

export type Slice = SearchProgressSubscription['searchProgress'];
export type Dataset = Slice['nodes'][number];
export type FacilityOutcome = Slice['outcomes'][number];
export type Facet = Slice['facets']['facilities'][number];

/** A dataset with all that its facility says of it. */
export type WholeDataset = Dataset & Extract<NonNullable<DatasetByIdQuery['node']>, { archiveState: unknown }>;

/** The dataset in an answer by id; null for an id of anything else. */
export function datasetIn(data: DatasetByIdQuery | undefined): WholeDataset | null {
  const node = data?.node;
  return node && 'archiveState' in node ? (node as WholeDataset) : null;
}
