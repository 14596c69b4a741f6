import { Trans } from '@lingui/react/macro';
import { formatLocale } from '../i18n';
import { formatAddress } from '../lib/address';
import { clock, duration } from '../lib/format';
import { useNow } from '../lib/now';
import { isTask } from '../tasks/task';
import { Notice } from '../ui/Notice';
import { ProblemNotice } from '../ui/ProblemNotice';
import { Status } from '../ui/Status';
import { Ago } from '../ui/Time';
import { launchAgain } from './again';
import { endsSoon, stopIsWaiting } from './order';
import type { Workspace } from './queries';
import { StartAgain } from './StartAgain';
import { Steps } from './Steps';
import { EndIsTold, TaskEnded, TaskRuns } from './TaskBody';

function Ending({ workspace }: { workspace: Workspace }) {
  const now = useNow();
  if (!workspace.endsAt) return null;
  const left = duration((Date.parse(workspace.endsAt) - now) / 1000, formatLocale);
  const at = clock(workspace.endsAt, formatLocale);
  if (endsSoon(workspace, now)) {
    return (
      <Status tone="warn">
        <Trans>
          Ends in {left}, at {at}. What lies in its own folder goes with it.
        </Trans>
      </Status>
    );
  }
  return (
    <p className="muted">
      <Trans>Ends in {left}</Trans>
    </p>
  );
}

function Failure({ workspace }: { workspace: Workspace }) {
  if (!workspace.problem) return null;
  return (
    <ProblemNotice
      problem={workspace.problem}
      facility={workspace.facility}
      back={`/launch${formatAddress({ ...launchAgain(workspace) })}`}
      actions={<StartAgain workspace={workspace} />}
    />
  );
}

function Waiting({ workspace }: { workspace: Workspace }) {
  const name = workspace.facility.name;
  if (!workspace.waitsUntil || workspace.facility.state === 'ONLINE') return <Steps workspace={workspace} />;
  const until = clock(workspace.waitsUntil, formatLocale);
  return (
    <Notice tone="unknown" title={<Trans>{name} is not connected at the moment.</Trans>}>
      <Trans>This waits for it until {until}, and starts as soon as it is back.</Trans>
    </Notice>
  );
}

/** What there is to say about a workspace in its present state. */
export function WorkspaceBody({ workspace }: { workspace: Workspace }) {
  const name = workspace.facility.name;
  if (stopIsWaiting(workspace)) {
    return (
      <Notice tone="unknown" title={<Trans>You asked to stop it.</Trans>}>
        <Trans>{name} hears of it as soon as it is connected.</Trans>
      </Notice>
    );
  }
  switch (workspace.state) {
    case 'REQUESTED':
    case 'STARTING':
      return (
        <>
          <Waiting workspace={workspace} />
          {isTask(workspace) ? <EndIsTold workspace={workspace} /> : null}
        </>
      );
    case 'RUNNING':
      return isTask(workspace) ? <TaskRuns workspace={workspace} /> : <Ending workspace={workspace} />;
    case 'STOPPING':
      return (
        <p className="muted">
          <Trans>{name} is stopping it.</Trans>
        </p>
      );
    case 'UNKNOWN':
      if (workspace.problem) return <Notice tone="unknown" title={workspace.problem.message} />;
      return (
        <Notice tone="unknown" title={<Trans>{name} is not connected to the portal, so its state is not known.</Trans>}>
          {isTask(workspace) ? (
            <Trans>It most likely goes on; the portal hears how it ended once {name} is back.</Trans>
          ) : (
            <Trans>It is most likely still running; it can be opened directly.</Trans>
          )}{' '}
          {workspace.seenAt ? (
            <Trans>
              Last heard of <Ago iso={workspace.seenAt} />.
            </Trans>
          ) : null}
        </Notice>
      );
    case 'FAILED':
      return (
        <>
          <Failure workspace={workspace} />
          {workspace.problem ? null : <Steps workspace={workspace} />}
        </>
      );
    case 'ENDED':
      if (isTask(workspace)) return <TaskEnded workspace={workspace} />;
      return (
        <p className="muted">
          <Trans>
            Ended <Ago iso={workspace.changedAt} />.
          </Trans>{' '}
          {workspace.problem?.message}
        </p>
      );
  }
}
