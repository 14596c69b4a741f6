import { Trans } from '@lingui/react/macro';
import { useSyncExternalStore } from 'react';
import { formatLocale } from '../i18n';
import { duration } from '../lib/format';
import { useNow } from '../lib/now';
import { tasks } from '../tasks/started';
import { hasFinished, ranOut } from '../tasks/task';
import { Notice } from '../ui/Notice';
import { Ago } from '../ui/Time';
import type { Workspace } from './queries';
import { StartAgain } from './StartAgain';

/** That its end is told; nothing when this browser does not wait for it. */
export function EndIsTold({ workspace }: { workspace: Workspace }) {
  const isWatched = useSyncExternalStore(tasks.ids.subscribe, tasks.ids.get).includes(workspace.id);
  if (!isWatched) return null;
  return (
    <p className="muted">
      <Trans>Every page of the portal tells you once it has ended, also when you come back in this browser.</Trans>
    </p>
  );
}

/** A task while it runs. */
export function TaskRuns({ workspace }: { workspace: Workspace }) {
  const now = useNow();
  const left = workspace.endsAt ? duration((Date.parse(workspace.endsAt) - now) / 1000, formatLocale) : null;
  return (
    <>
      <p>
        <Trans>Runs with nobody watching; you can leave the portal meanwhile.</Trans>{' '}
        {left ? <Trans>Ends in {left} at the latest.</Trans> : null}
      </p>
      <EndIsTold workspace={workspace} />
    </>
  );
}

/** A task that ended without having failed: where its results are, or why there may be none. */
export function TaskEnded({ workspace }: { workspace: Workspace }) {
  const said = workspace.problem?.message;
  const ended = (
    <Trans>
      Ended <Ago iso={workspace.changedAt} />.
    </Trans>
  );
  if (hasFinished(workspace)) {
    return (
      <Notice tone="ok" title={<Trans>The task has finished.</Trans>}>
        {said ? <p>{said}</p> : null}
        <p className="muted">
          <Trans>Every workspace with this proposal shows them.</Trans> {ended}
        </p>
      </Notice>
    );
  }
  if (ranOut(workspace)) {
    return (
      <Notice
        tone="warn"
        title={<Trans>Its time was over before the task had finished.</Trans>}
        actions={<StartAgain workspace={workspace} />}
      >
        <p>
          <Trans>What it wrote until then is in the proposal’s folder “processed”. A later end gives it more time.</Trans>
        </p>
        <p className="muted">{ended}</p>
      </Notice>
    );
  }
  return (
    <p className="muted">
      {ended} <Trans>The task had not finished.</Trans> {said}
    </p>
  );
}
