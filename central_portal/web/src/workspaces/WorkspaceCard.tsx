import { Trans, useLingui } from '@lingui/react/macro';
import { Link } from '@tanstack/react-router';
import { FlavourText } from '../launch/FlavourText';
import { formatLocale } from '../i18n';
import { listed } from '../lib/format';
import { Status } from '../ui/Status';
import { stateWord } from '../words/states';
import type { Workspace } from './queries';
import { WorkspaceActions } from './WorkspaceActions';
import { WorkspaceBody } from './WorkspaceBody';

/** "Notebook · 2 CPUs, 4 GiB · Alpha · proposal P-1" */
export function WorkspaceFacts({ workspace }: { workspace: Workspace }) {
  const proposals = listed(workspace.proposals, formatLocale);
  return (
    <p className="muted">
      {workspace.environmentTitle}
      {workspace.flavour ? (
        <>
          {' · '}
          <FlavourText flavour={workspace.flavour} />
        </>
      ) : null}
      {' · '}
      {workspace.facility.name}
      {workspace.proposals.length ? (
        <>
          {' · '}
          <Trans>proposal {proposals}</Trans>
        </>
      ) : null}
    </p>
  );
}

/** The state as a word with its icon. */
export function WorkspaceStatus({ workspace }: { workspace: Workspace }) {
  const { i18n } = useLingui();
  const word = stateWord(workspace);
  return (
    <Status tone={word.tone} strong>
      {i18n._(word.text)}
    </Status>
  );
}

/** A workspace in the list. */
export function WorkspaceCard({ workspace }: { workspace: Workspace }) {
  const heading = `workspace-${workspace.uuid}`;
  return (
    <li className={`card workspace workspace-${workspace.state.toLowerCase()}`}>
      <article aria-labelledby={heading}>
        <div className="card-head">
          <h2 id={heading}>
            <Link to="/workspaces/$id" params={{ id: workspace.id }}>
              {workspace.title || workspace.environmentTitle}
            </Link>
          </h2>
          <WorkspaceStatus workspace={workspace} />
        </div>
        <WorkspaceFacts workspace={workspace} />
        <WorkspaceBody workspace={workspace} />
        <WorkspaceActions workspace={workspace} />
      </article>
    </li>
  );
}
