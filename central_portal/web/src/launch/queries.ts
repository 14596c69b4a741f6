import { graphql } from '../gql';

export const Launch = graphql(`
  mutation Launch($input: LaunchWorkspaceInput!) {
    launchWorkspace(input: $input) {
      workspace {
        ...WorkspaceFields
      }
      problem {
        code
        message
        retryable
      }
    }
  }
`);
