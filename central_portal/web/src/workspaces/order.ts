import type { UsedAs, WorkspaceState } from '../gql/graphql';
import { isTask } from '../tasks/task';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

interface Aged {
  id: string;
  state: WorkspaceState;
  endsAt?: string | null;
  changedAt: string;
  requestedAt: string;
  environment?: { usedAs: UsedAs } | null;
}

/** Where in the list a workspace stands: what needs attention comes first, what is over last. */
export type Group = 'attention' | 'starting' | 'running' | 'over';
export const GROUPS: readonly Group[] = ['attention', 'starting', 'running', 'over'];

/** Whether it ends within the hour, so that a person should act. In a task there is nothing to save. */
export function endsSoon(workspace: Aged, now: number): boolean {
  return !isTask(workspace) && workspace.state === 'RUNNING' && !!workspace.endsAt && Date.parse(workspace.endsAt) - now < HOUR_MS;
}

/** Whether its facility is away and has yet to hear that it is to be stopped. */
export function stopIsWaiting(workspace: { state: WorkspaceState; stopRequestedAt?: string | null }): boolean {
  return !!workspace.stopRequestedAt && ['REQUESTED', 'STARTING', 'RUNNING', 'UNKNOWN'].includes(workspace.state);
}

/** A failure asks for attention for a day, then it is history. */
export function groupOf(workspace: Aged, now: number): Group {
  switch (workspace.state) {
    case 'UNKNOWN':
      return 'attention';
    case 'FAILED':
      return now - Date.parse(workspace.changedAt) < DAY_MS ? 'attention' : 'over';
    case 'ENDED':
      return 'over';
    case 'REQUESTED':
    case 'STARTING':
      return 'starting';
    case 'STOPPING':
      return 'running';
    case 'RUNNING':
      return endsSoon(workspace, now) ? 'attention' : 'running';
  }
}

/** By group, newest request first within each. */
export function inOrder<Item extends Aged>(workspaces: readonly Item[], now: number): Item[] {
  const rank = (workspace: Item) => GROUPS.indexOf(groupOf(workspace, now));
  return [...workspaces].sort(
    (a, b) => rank(a) - rank(b) || Date.parse(b.requestedAt) - Date.parse(a.requestedAt) || a.id.localeCompare(b.id),
  );
}
