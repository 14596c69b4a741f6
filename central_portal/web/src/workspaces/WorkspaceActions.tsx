import { Trans } from '@lingui/react/macro';
import { useState } from 'react';
import { useMutation } from 'urql';
import { doc } from '../api/doc';
import { outboundLink } from '../lib/paths';
import { isTask } from '../tasks/task';
import { Confirm } from '../ui/Confirm';
import { Glyph } from '../ui/Icon';
import { Notice } from '../ui/Notice';
import { ProblemNotice } from '../ui/ProblemNotice';
import { problemOf, type ProblemData } from '../words/problems';
import { stopIsWaiting } from './order';
import { Stop, type Workspace } from './queries';

const StopDocument = doc(Stop);
const STOPPABLE: readonly Workspace['state'][] = ['REQUESTED', 'STARTING', 'RUNNING', 'UNKNOWN'];

type Failure = { kind: 'problem'; problem: ProblemData } | { kind: 'unreached' };

/** What a stop means for what runs. */
function Loss({ workspace }: { workspace: Workspace }) {
  const waits = workspace.state === 'REQUESTED';
  if (isTask(workspace)) {
    return waits ? (
      <Trans>It has not started yet. Should the facility have begun meanwhile, the task ends unfinished.</Trans>
    ) : (
      <Trans>It ends unfinished, and cannot go on from there. What it wrote so far stays in the proposal’s folder “processed”.</Trans>
    );
  }
  return waits ? (
    <Trans>It has not started yet. Should the facility have begun meanwhile, what runs in it ends.</Trans>
  ) : (
    <Trans>Everything that runs in it ends, and what lies in its own folder is lost.</Trans>
  );
}

function StopButton({ workspace, onFailure }: { workspace: Workspace; onFailure: (failure: Failure | null) => void }) {
  const [{ fetching }, stop] = useMutation(StopDocument);
  const title = workspace.title;
  async function confirmed() {
    onFailure(null);
    const { data, error } = await stop({ id: workspace.id });
    const problem = data?.stopWorkspace.problem ?? problemOf(error);
    if (problem) onFailure({ kind: 'problem', problem });
    else if (error) onFailure({ kind: 'unreached' });
  }
  return (
    <Confirm
      trigger={
        <>
          {fetching ? <Trans>Stopping …</Trans> : <Trans>Stop</Trans>}
          <span className="sr-only"> {title}</span>
        </>
      }
      question={<Trans>Stop “{title}”?</Trans>}
      action={isTask(workspace) ? <Trans>Stop task</Trans> : <Trans>Stop workspace</Trans>}
      onConfirm={() => void confirmed()}
    >
      <p>
        <Loss workspace={workspace} />
      </p>
    </Confirm>
  );
}

/** Open and Stop, with what went wrong below. */
export function WorkspaceActions({ workspace }: { workspace: Workspace }) {
  const [failure, setFailure] = useState<Failure | null>(null);
  const openUrl = isTask(workspace) ? null : outboundLink(workspace.openUrl);
  const stoppable = STOPPABLE.includes(workspace.state) && !stopIsWaiting(workspace);
  if (!openUrl && !stoppable && !failure) return null;
  return (
    <>
      <div className="row">
        {openUrl ? (
          <a className="btn primary" href={openUrl} target="_blank" rel="noopener">
            <Trans>Open</Trans>
            <span className="sr-only">
              {' '}
              <Trans>{workspace.title} in a new tab</Trans>
            </span>
            <Glyph name="away" />
          </a>
        ) : null}
        {stoppable ? <StopButton workspace={workspace} onFailure={setFailure} /> : null}
      </div>
      {failure?.kind === 'problem' ? (
        <ProblemNotice problem={failure.problem} facility={workspace.facility} back="/workspaces" urgent />
      ) : null}
      {failure?.kind === 'unreached' ? (
        <Notice tone="bad" urgent title={<Trans>The portal did not answer, so it is not known whether it is stopping.</Trans>}>
          <Trans>Press Stop again; it cannot stop anything else.</Trans>
        </Notice>
      ) : null}
    </>
  );
}
