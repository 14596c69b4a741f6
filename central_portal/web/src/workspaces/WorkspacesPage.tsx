import { Trans, useLingui } from '@lingui/react/macro';
import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import { doc } from '../api/doc';
import { useRead } from '../api/read';
import { useSession } from '../api/session';
import { useNow } from '../lib/now';
import { Notice } from '../ui/Notice';
import { ReadError } from '../ui/ReadError';
import { SignInNotice } from '../ui/SignInNotice';
import { Skeleton } from '../ui/Skeleton';
import { groupOf, inOrder } from './order';
import { Workspaces } from './queries';
import { useLiveWorkspaces } from './useLiveWorkspaces';
import { WorkspaceCard } from './WorkspaceCard';

const WorkspacesDocument = doc(Workspaces);

function None() {
  return (
    <Notice
      tone="info"
      title={<Trans>You have no workspaces.</Trans>}
      actions={
        <Link className="btn primary" to="/search">
          <Trans>Find data</Trans>
        </Link>
      }
    >
      <Trans>Find a dataset and press Analyse; the workspace starts at the facility that holds it.</Trans>
    </Notice>
  );
}

function List() {
  const now = useNow();
  const { data, error, pending, again } = useRead(WorkspacesDocument, {});
  const workspaces = useMemo(() => data?.workspaces.nodes ?? [], [data]);
  useLiveWorkspaces(workspaces, false);
  const ordered = inOrder(workspaces, now);
  const living = ordered.filter((workspace) => groupOf(workspace, now) !== 'over');
  const over = ordered.filter((workspace) => groupOf(workspace, now) === 'over');
  return (
    <>
      {error ? (
        <ReadError title={<Trans>Your workspaces could not be read just now.</Trans>} again={again}>
          <Trans>They keep running; nothing was stopped.</Trans>
        </ReadError>
      ) : null}
      {pending ? (
        <div className="stack" aria-busy="true">
          <Skeleton lines={5} />
          <Skeleton lines={5} />
        </div>
      ) : null}
      {data && workspaces.length === 0 ? <None /> : null}
      {living.length ? (
        <ul className="stack">
          {living.map((workspace) => (
            <WorkspaceCard key={workspace.id} workspace={workspace} />
          ))}
        </ul>
      ) : null}
      {over.length ? (
        <section aria-labelledby="over" className="stack">
          <h2 id="over">
            <Trans>Over</Trans>
          </h2>
          <ul className="stack">
            {over.map((workspace) => (
              <WorkspaceCard key={workspace.id} workspace={workspace} />
            ))}
          </ul>
        </section>
      ) : null}
    </>
  );
}

/** One's own workspaces, what needs attention first. */
export function WorkspacesPage() {
  const { t } = useLingui();
  const { me } = useSession();
  return (
    <div className="page">
      <title>{t`Workspaces – Parasol`}</title>
      <div className="page-head head-row">
        <h1>
          <Trans>Workspaces</Trans>
        </h1>
        {me ? (
          <Link className="btn" to="/search">
            <Trans>Start from data</Trans>
          </Link>
        ) : null}
      </div>
      {me === undefined ? <Skeleton lines={5} /> : null}
      {me === null ? (
        <SignInNotice title={<Trans>Sign in to see your workspaces.</Trans>}>
          <Trans>They run at the facilities, whether you are signed in or not.</Trans>
        </SignInNotice>
      ) : null}
      {me ? <List /> : null}
    </div>
  );
}
