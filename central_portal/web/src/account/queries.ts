import { graphql } from '../gql';

export const Unlink = graphql(`
  mutation Unlink($facility: ID!) {
    unlinkAccount(input: { facility: $facility }) {
      facility {
        ...LinkFields
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
