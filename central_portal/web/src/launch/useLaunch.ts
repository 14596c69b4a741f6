import { useRef, useState } from 'react';
import { useMutation } from 'urql';
import { doc } from '../api/doc';
import type { LaunchWorkspaceInput } from '../gql/graphql';
import { tasks } from '../tasks/started';
import { isTask } from '../tasks/task';
import { problemOf, type ProblemData } from '../words/problems';
import { Launch } from './queries';

const LaunchDocument = doc(Launch);
/** Problems after which the earlier press may still have started something. */
const INDEFINITE: readonly string[] = ['DEADLINE_EXCEEDED', 'INTERNAL'];

/** How a press on Start went. `unknown`: the portal did not answer, so it may or may not have started. */
export type LaunchResult =
  | { kind: 'none' }
  | { kind: 'refused'; problem: ProblemData }
  | { kind: 'unknown' };

export interface Launching {
  result: LaunchResult;
  busy: boolean;
  /** Resolves with whether it was taken on; a task is then watched, so that its end is told. */
  start: (wanted: Omit<LaunchWorkspaceInput, 'id'>) => Promise<boolean>;
}

/**
 * Starting, with one id for as long as nobody knows whether the earlier press arrived: a second press
 * cannot start a second workspace. Only a definite refusal is followed by a new id.
 */
export function useLaunch(): Launching {
  const [, launch] = useMutation(LaunchDocument);
  const id = useRef(crypto.randomUUID() as string);
  const pressed = useRef(false);
  const [busy, setBusy] = useState(false);
  const [result, setResult] = useState<LaunchResult>({ kind: 'none' });

  async function start(wanted: Omit<LaunchWorkspaceInput, 'id'>): Promise<boolean> {
    if (pressed.current) return false;
    pressed.current = true;
    setBusy(true);
    setResult({ kind: 'none' });
    const { data, error } = await launch({ input: { id: id.current, ...wanted } });
    pressed.current = false;
    setBusy(false);
    const payload = data?.launchWorkspace;
    const refused = payload?.workspace?.state === 'FAILED' ? payload.workspace.problem : null;
    const problem = payload?.problem ?? refused ?? problemOf(error);
    if (problem) {
      if (refused || !INDEFINITE.includes(problem.code)) id.current = crypto.randomUUID();
      setResult({ kind: 'refused', problem });
      return false;
    }
    if (!payload?.workspace) {
      setResult({ kind: 'unknown' });
      return false;
    }
    if (isTask(payload.workspace)) tasks.keep(payload.workspace.id);
    return true;
  }

  return { result, busy, start };
}
