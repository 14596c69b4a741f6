import { graphql } from '../gql';
import type { WorkspacesQuery } from '../gql/graphql';

export const WorkspaceFields = graphql(`
  fragment WorkspaceFields on Workspace {
    id
    uuid
    title
    state
    sequence
    environmentTitle
    proposals
    dataset
    requestedAt
    changedAt
    seenAt
    endsAt
    waitsUntil
    stopRequestedAt
    openUrl
    facility {
      id
      slug
      name
      state
    }
    environment {
      id
      slug
      usedAs
    }
    flavour {
      ...FlavourFields
    }
    steps {
      name
      state
      detail
      enteredAt
    }
    problem {
      code
      message
      retryable
    }
  }
`);

export const Workspaces = graphql(`
  query Workspaces {
    workspaces(first: 50) {
      nodes {
        ...WorkspaceFields
      }
      totalCount
    }
  }
`);

export const WorkspaceById = graphql(`
  query WorkspaceById($id: ID!) {
    workspace(id: $id) {
      ...WorkspaceFields
    }
  }
`);

export const WorkspaceChanged = graphql(`
  subscription WorkspaceChanged {
    workspaceChanged {
      ...WorkspaceFields
    }
  }
`);

export const Stop = graphql(`
  mutation Stop($id: ID!) {
    stopWorkspace(input: { id: $id }) {
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

export type Workspace = WorkspacesQuery['workspaces']['nodes'][number];
export type Step = Workspace['steps'][number];
