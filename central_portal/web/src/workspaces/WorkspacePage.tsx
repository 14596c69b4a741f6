import { Trans, useLingui } from '@lingui/react/macro';
import { Link, useParams } from '@tanstack/react-router';
import { useMemo } from 'react';
import { doc } from '../api/doc';
import { useRead } from '../api/read';
import { useSession } from '../api/session';
import { Missing } from '../shell/fallbacks';
import { isTask } from '../tasks/task';
import { ReadError } from '../ui/ReadError';
import { SignInNotice } from '../ui/SignInNotice';
import { Skeleton } from '../ui/Skeleton';
import { Ago, Instant } from '../ui/Time';
import { problemOf } from '../words/problems';
import { WorkspaceById, type Workspace } from './queries';
import { Steps } from './Steps';
import { useLiveWorkspaces } from './useLiveWorkspaces';
import { WorkspaceActions } from './WorkspaceActions';
import { WorkspaceBody } from './WorkspaceBody';
import { WorkspaceFacts, WorkspaceStatus } from './WorkspaceCard';

const WorkspaceDocument = doc(WorkspaceById);

function Times({ workspace }: { workspace: Workspace }) {
  return (
    <dl className="facts card">
      <div>
        <dt>
          <Trans>Requested</Trans>
        </dt>
        <dd>
          <Instant iso={workspace.requestedAt} />
        </dd>
      </div>
      <div>
        <dt>
          <Trans>Last change</Trans>
        </dt>
        <dd>
          <Ago iso={workspace.changedAt} />
        </dd>
      </div>
      <div>
        <dt>
          <Trans>Last heard of</Trans>
        </dt>
        <dd>{workspace.seenAt ? <Ago iso={workspace.seenAt} /> : <Trans>Not yet</Trans>}</dd>
      </div>
      {workspace.endsAt ? (
        <div>
          <dt>
            {isTask(workspace) ? <Trans>Ends at the latest</Trans> : <Trans>Ends</Trans>}
          </dt>
          <dd>
            <Instant iso={workspace.endsAt} />
          </dd>
        </div>
      ) : null}
      <div>
        <dt>
          <Trans>For support</Trans>
        </dt>
        <dd>
          <code>{workspace.uuid}</code>
        </dd>
      </div>
    </dl>
  );
}

function Details({ workspace }: { workspace: Workspace }) {
  const starting = workspace.state === 'REQUESTED' || workspace.state === 'STARTING';
  return (
    <>
      <div className="page-head">
        <p className="crumb">
          <Link to="/workspaces">
            <Trans>Workspaces</Trans>
          </Link>
        </p>
        <div className="title-row">
          <h1>{workspace.title || workspace.environmentTitle}</h1>
          <WorkspaceStatus workspace={workspace} />
        </div>
        <WorkspaceFacts workspace={workspace} />
      </div>
      <div className="card stack-tight">
        <WorkspaceBody workspace={workspace} />
        <WorkspaceActions workspace={workspace} />
      </div>
      {starting ? null : (
        <section className="card stack-tight" aria-labelledby="start">
          <h2 id="start">
            <Trans>How it started</Trans>
          </h2>
          <Steps workspace={workspace} />
        </section>
      )}
      <Times workspace={workspace} />
    </>
  );
}

function Loaded({ id }: { id: string }) {
  const { t } = useLingui();
  const { data, error, pending, again } = useRead(WorkspaceDocument, { id });
  const workspace = data?.workspace;
  const shown = useMemo(() => (workspace ? [workspace] : []), [workspace]);
  useLiveWorkspaces(shown, false);
  if ((data && !workspace) || problemOf(error)?.code === 'NOT_FOUND') return <Missing />;
  return (
    <>
      <title>{t`${workspace?.title ?? t`Workspace`} – Parasol`}</title>
      {error ? <ReadError title={<Trans>This workspace could not be read just now.</Trans>} again={again} /> : null}
      {pending ? <Skeleton lines={6} /> : null}
      {workspace ? <Details workspace={workspace} /> : null}
    </>
  );
}

/** One workspace with its steps and times. */
export function WorkspacePage() {
  const { id } = useParams({ from: '/workspaces/$id' });
  const { me } = useSession();
  return (
    <div className="page">
      {me === undefined ? <Skeleton lines={6} /> : null}
      {me === null ? <SignInNotice title={<Trans>Sign in to see this workspace.</Trans>} /> : null}
      {me ? <Loaded id={id} /> : null}
    </div>
  );
}
