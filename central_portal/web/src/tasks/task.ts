import type { UsedAs, WorkspaceState } from '../gql/graphql';

/** What of a workspace tells whether it is a task and how that ended. */
export interface SeenTask {
  state: WorkspaceState;
  stopRequestedAt?: string | null;
  environment?: { usedAs: UsedAs } | null;
  problem?: { code: string } | null;
}

/** How a task came to its end. `ended`: at its limit, or by somebody, before it had finished. */
export type TaskEnd = 'finished' | 'failed' | 'ended';

/** Whether a workspace runs to its end by itself and is opened by nobody. One that finished tells so even when its environment is gone. */
export const isTask = (workspace: SeenTask): boolean => workspace.environment?.usedAs === 'TASK' || hasFinished(workspace);

export const hasFinished = (workspace: SeenTask): boolean => workspace.state === 'ENDED' && workspace.problem?.code === 'FINISHED';

/** Whether a task's time was over before it had finished. */
export const ranOut = (workspace: SeenTask): boolean => workspace.state === 'ENDED' && workspace.problem?.code === 'LIFETIME';

/** How a task ended, null while it lives. */
export function endOf(workspace: SeenTask): TaskEnd | null {
  if (workspace.state === 'FAILED') return 'failed';
  if (workspace.state !== 'ENDED') return null;
  return hasFinished(workspace) ? 'finished' : 'ended';
}

/** Whether its end is no news to the person, who asked for it. */
export const endWasAsked = (workspace: SeenTask): boolean =>
  endOf(workspace) === 'ended' && !ranOut(workspace) && (!!workspace.stopRequestedAt || workspace.problem?.code === 'CANCELLED');
