import { useLingui } from '@lingui/react/macro';
import { useEffect, useRef } from 'react';
import { useSubscription } from 'urql';
import { doc } from '../api/doc';
import { tasks } from '../tasks/started';
import { endOf, isTask } from '../tasks/task';
import { announce } from '../ui/announce';
import { stateWord, stepWords } from '../words/states';
import { WorkspaceChanged, type Workspace } from './queries';

const ChangedDocument = doc(WorkspaceChanged);

/** What of a workspace is worth saying aloud; null when nothing has changed since. */
function news(workspace: Workspace): string {
  const active = workspace.steps.find((step) => step.state === 'ACTIVE')?.name ?? '';
  return workspace.state === 'STARTING' || workspace.state === 'REQUESTED' ? `${workspace.state} ${active}` : workspace.state;
}

/** Keeps the cache's workspaces up to date, and says aloud what happens to those on the page. */
export function useLiveWorkspaces(workspaces: readonly Workspace[], pause: boolean): void {
  const { i18n } = useLingui();
  useSubscription({ query: ChangedDocument, variables: {}, pause });
  const told = useRef(new Map<string, string>());
  useEffect(() => {
    for (const workspace of workspaces) {
      if (isTask(workspace) && !endOf(workspace)) tasks.keepIfRoom(workspace.id);
      const before = told.current.get(workspace.id);
      const after = news(workspace);
      told.current.set(workspace.id, after);
      if (before === undefined || before === after) continue;
      const step = workspace.steps.find((each) => each.state === 'ACTIVE');
      const word = after.includes(' ') && step ? stepWords(workspace, step.name).doing : stateWord(workspace).text;
      announce(`${workspace.title}: ${i18n._(word)}.`);
    }
  }, [workspaces, i18n]);
}
