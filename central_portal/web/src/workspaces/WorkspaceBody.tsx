import { Trans } from '@lingui/react/macro';
import { Link } from '@tanstack/react-router';
import { formatLocale } from '../i18n';
import { formatAddress } from '../lib/address';
import { clock, duration } from '../lib/format';
import { useNow } from '../lib/now';
import { Notice } from '../ui/Notice';
import { ProblemNotice } from '../ui/ProblemNotice';
import { Status } from '../ui/Status';
import { Ago } from '../ui/Time';
import { endsSoon, stopIsWaiting } from './order';
import type { Workspace } from './queries';
import { Steps } from './Steps';
import { launchAgain } from './again';

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
  const again = launchAgain(workspace);
  return (
    <ProblemNotice
      problem={workspace.problem}
      facility={workspace.facility}
      back={`/launch${formatAddress({ ...again })}`}
      actions={
        <Link className="btn" to="/launch" search={again}>
          <Trans>Start it again</Trans>
        </Link>
      }
    />
  );
}

function Waiting({ workspace }: { workspace: Workspace }) {
  const name = workspace.facility.name;
  if (!workspace.waitsUntil || workspace.facility.state === 'ONLINE') return <Steps steps={workspace.steps} />;
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
      return <Waiting workspace={workspace} />;
    case 'STARTING':
      return <Steps steps={workspace.steps} />;
    case 'RUNNING':
      return <Ending workspace={workspace} />;
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
          <Trans>It is most likely still running; it can be opened directly.</Trans>{' '}
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
          {workspace.problem ? null : <Steps steps={workspace.steps} />}
        </>
      );
    case 'ENDED':
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
