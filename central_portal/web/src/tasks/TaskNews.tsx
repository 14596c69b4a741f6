import { Trans, useLingui } from '@lingui/react/macro';
import { Link, useLocation } from '@tanstack/react-router';
import { useEffect, useRef, useSyncExternalStore } from 'react';
import { useSubscription } from 'urql';
import { connection } from '../api/connection';
import { doc } from '../api/doc';
import { useRead } from '../api/read';
import type { Tone } from '../ui/Icon';
import { News } from '../ui/News';
import { problemOf } from '../words/problems';
import { WorkspaceById, WorkspaceChanged, type Workspace } from '../workspaces/queries';
import { tasks } from './started';
import { endOf, endWasAsked, type TaskEnd } from './task';

const WorkspaceDocument = doc(WorkspaceById);
const ChangedDocument = doc(WorkspaceChanged);
const TONES: Record<TaskEnd, Tone> = { finished: 'ok', failed: 'bad', ended: 'warn' };
/** What never was, or is not this person's, never ends. */
const NEVER: readonly string[] = ['NOT_FOUND', 'INVALID_REQUEST'];

/** What a workspace is called in a sentence: what runs, and its own title where that says more. */
const calledIn = ({ environmentTitle, title }: Workspace): string =>
  title && title !== environmentTitle ? `${environmentTitle} “${title}”` : environmentTitle;

function useSentence(): (workspace: Workspace, end: TaskEnd) => string {
  const { t } = useLingui();
  return (workspace, end) => {
    const what = calledIn(workspace);
    const name = workspace.facility.name;
    if (end === 'finished') return t`${what} has finished at ${name}.`;
    return end === 'failed' ? t`${what} failed at ${name}.` : t`${what} was ended at ${name} before it had finished.`;
  };
}

/** Calls `told` as soon as somebody looks at this tab while `isShown`. */
function useTold(isShown: boolean, told: () => void) {
  useEffect(() => {
    if (!isShown) return;
    const look = () => {
      if (!document.hidden) told();
    };
    look();
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, [isShown]);
}

/** What ends between a first read and the first word of the socket is in neither: read once more when that is there. */
function useAgainOnceLive(again: () => void) {
  const latest = useRef(again);
  latest.current = again;
  useEffect(() => connection.state.subscribe(() => connection.state.get() === 'live' && latest.current()), []);
}

/** Watches one task for as long as it lives; then says how it ended, until that is dismissed or its page is looked at. */
function Task({ id }: { id: string }) {
  const { t } = useLingui();
  const sentence = useSentence();
  const { pathname } = useLocation();
  const { data, error, again } = useRead(WorkspaceDocument, { id });
  const workspace = data?.workspace;
  const end = workspace ? endOf(workspace) : null;
  useSubscription({ query: ChangedDocument, variables: {}, pause: !!end });
  useAgainOnceLive(again);
  const dismiss = () => tasks.forget(id);
  const isUnknown = error ? NEVER.includes(problemOf(error)?.code ?? '') : !!data && !workspace;
  const isNoNews = isUnknown || (!!workspace && endWasAsked(workspace));
  useEffect(() => {
    if (isNoNews) dismiss();
  }, [isNoNews]);
  const isOnItsPage = !!workspace && pathname.startsWith('/workspaces/') && pathname.endsWith(workspace.uuid);
  useTold(!!end && isOnItsPage, dismiss);
  if (!workspace || !end || isNoNews || isOnItsPage) return null;
  return (
    <News tone={TONES[end]} said={sentence(workspace, end)} label={t`News of a task that you started`} dismiss={dismiss}>
      <Link className="btn small" to="/workspaces/$id" params={{ id }} onClick={dismiss}>
        <Trans>Show the task</Trans>
      </Link>
    </News>
  );
}

/** On every page: what a person started as a task is watched, and said once it has ended. */
export function TaskNews() {
  const ids = useSyncExternalStore(tasks.ids.subscribe, tasks.ids.get);
  return ids.map((id) => <Task key={id} id={id} />);
}
