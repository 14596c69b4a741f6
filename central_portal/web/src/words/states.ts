import { msg } from '@lingui/core/macro';
import type { MessageDescriptor } from '@lingui/core';
import type {
  ArchiveState, CarriedBy, FacilityState, LinkState, Scope, StepName, StepState, UsedAs, WorkspaceState,
} from '../gql/graphql';
import { hasFinished, isTask, type SeenTask } from '../tasks/task';
import type { Tone } from '../ui/Icon';

interface Word {
  tone: Tone;
  text: MessageDescriptor;
}

export const FACILITY_STATES: Record<FacilityState, Word> = {
  ONLINE: { tone: 'ok', text: msg`Online` },
  OFFLINE: { tone: 'bad', text: msg`Offline` },
};

export const ARCHIVE_STATES: Record<ArchiveState, Word> = {
  ONLINE: { tone: 'ok', text: msg`On disk` },
  RESTORING: { tone: 'busy', text: msg`On its way from the archive` },
  ARCHIVED: { tone: 'idle', text: msg`In the archive` },
  UNKNOWN: { tone: 'unknown', text: msg`The facility cannot tell` },
};

export const LINK_STATES: Record<LinkState, Word> = {
  LINKED: { tone: 'ok', text: msg`Linked` },
  NOT_LINKED: { tone: 'idle', text: msg`Not linked` },
  UNKNOWN: { tone: 'unknown', text: msg`Not known yet` },
};

export const WORKSPACE_STATES: Record<WorkspaceState, Word> = {
  REQUESTED: { tone: 'busy', text: msg`Requested` },
  STARTING: { tone: 'busy', text: msg`Starting` },
  RUNNING: { tone: 'ok', text: msg`Running` },
  STOPPING: { tone: 'busy', text: msg`Stopping` },
  ENDED: { tone: 'idle', text: msg`Ended` },
  FAILED: { tone: 'bad', text: msg`Did not start` },
  UNKNOWN: { tone: 'unknown', text: msg`State unknown` },
};

const FINISHED: Word = { tone: 'ok', text: msg`Finished` };
const FAILED: Word = { tone: 'bad', text: msg`Failed` };

interface Seen extends SeenTask {
  steps: readonly { name: StepName; state: StepState }[];
}

/** What the state of a workspace is called: what has run did not fail to start, and a task may be over before anybody saw it run. */
export function stateWord(workspace: Seen): Word {
  if (hasFinished(workspace)) return FINISHED;
  const hasRun = isTask(workspace) || workspace.steps.some((step) => step.name === 'READY' && step.state === 'DONE');
  return workspace.state === 'FAILED' && hasRun ? FAILED : WORKSPACE_STATES[workspace.state];
}

/** A step while it is not yet, or just now, being done; and once it is. */
interface StepWords {
  doing: MessageDescriptor;
  done: MessageDescriptor;
}

export const STEPS: Record<StepName, StepWords> = {
  ASK: { doing: msg`Asking the facility`, done: msg`Facility asked` },
  ACCOUNT: { doing: msg`Checking your account`, done: msg`Account checked` },
  DATA: { doing: msg`Preparing the data`, done: msg`Data prepared` },
  QUEUE: { doing: msg`Waiting for a free place`, done: msg`Place found` },
  START: { doing: msg`Starting the environment`, done: msg`Environment started` },
  READY: { doing: msg`Waiting until it answers`, done: msg`Ready` },
};

const TASK_BEGINS: StepWords = { doing: msg`Waiting until it runs`, done: msg`Running` };

/** What a step of this workspace is called: nobody waits for a task to answer. */
export const stepWords = (workspace: SeenTask, step: StepName): StepWords =>
  step === 'READY' && isTask(workspace) ? TASK_BEGINS : STEPS[step];

export const STEP_STATES: Record<StepState, Word> = {
  WAITING: { tone: 'todo', text: msg`to do` },
  ACTIVE: { tone: 'busy', text: msg`in progress` },
  DONE: { tone: 'ok', text: msg`done` },
  FAILED: { tone: 'bad', text: msg`failed` },
};

export const USED_AS: Record<UsedAs, MessageDescriptor> = {
  NOTEBOOK: msg`Notebook`,
  DESKTOP: msg`Desktop`,
  WEB_APPLICATION: msg`Web application`,
  TERMINAL: msg`Terminal`,
  TASK: msg`Task`,
};

export const CARRIED_BY: Record<CarriedBy, MessageDescriptor> = {
  PROCESS: msg`runs as a process`,
  BATCH_JOB: msg`runs as a batch job`,
  CONTAINER: msg`runs in a container`,
  VIRTUAL_MACHINE: msg`runs in a virtual machine`,
};

export const SCOPES: Record<Scope, MessageDescriptor> = {
  READ: msg`search your data`,
  RUN: msg`start and stop workspaces`,
};
