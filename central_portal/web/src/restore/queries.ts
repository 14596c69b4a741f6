import { graphql } from '../gql';

export const RestoreDataset = graphql(`
  mutation RestoreDataset($dataset: ID!) {
    restoreDataset(input: { dataset: $dataset }) {
      dataset {
        id
        archiveState
      }
      waiting
      problem {
        code
        message
        retryable
      }
    }
  }
`);

export const DatasetChanged = graphql(`
  subscription DatasetChanged($dataset: ID!) {
    datasetChanged(dataset: $dataset) {
      id
      title
      archiveState
      facility {
        id
        slug
        name
      }
    }
  }
`);
