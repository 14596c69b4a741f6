import { graphql } from '../gql';

export const FindDataset = graphql(`
  query FindDataset($pid: String, $doi: String, $facility: ID) {
    findDataset(pid: $pid, doi: $doi, facility: $facility) {
      id
      title
      facility {
        id
        slug
        name
      }
    }
  }
`);
