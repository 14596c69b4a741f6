import { act, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { WorkspaceState } from '../src/gql/graphql';
import { LaunchLoader } from '../src/launch/LaunchLoader';
import { Shell } from '../src/shell/Shell';
import { tasks } from '../src/tasks/started';
import { endOf, endWasAsked, isTask } from '../src/tasks/task';
import { TaskNews } from '../src/tasks/TaskNews';
import { groupOf } from '../src/workspaces/order';
import { WorkspacePage } from '../src/workspaces/WorkspacePage';
import { WorkspacesPage } from '../src/workspaces/WorkspacesPage';
import { Centre, facility, show } from './centre';

const UUID = '1a2b3c4d-0000-4000-8000-000000000001';
const ID = `Workspace:${UUID}`;
const PLACE = 'processed/P-1/reduction-2026-11-25-1a2b3c4d';
const TOMORROW = new Date(Date.now() + 86_400_000).toISOString();
const NOW = new Date().toISOString();
const me = { id: 'Person:1', name: 'Ada', provider: 'umbrella', sessionExpiresAt: TOMORROW, accountLinks: [] };

const offer = facility('alpha');
const [jupyter] = offer.environments;
if (!jupyter) throw new Error('The facility offers nothing.');
const reduction = { ...jupyter, id: 'E:reduction', slug: 'reduction', title: 'Azimuthal integration', usedAs: 'TASK' as const };
const alpha = facility('alpha', {
  environments: [reduction, ...offer.environments],
  accountLink: { id: 'L', state: 'LINKED', checkedAt: null, grant: { scopes: ['READ', 'RUN'], expiresAt: TOMORROW } },
});

const FINISHED = { code: 'FINISHED', message: `Its results are in ${PLACE}.`, retryable: false, metadata: [] };
const EXITED = { code: 'EXITED', message: `It ended with a fault. What it wrote is in ${PLACE}/log.txt.`, retryable: false, metadata: [] };
const LIFETIME = { code: 'LIFETIME', message: 'It reached its end.', retryable: false, metadata: [] };

let sequence = 0;
const task = (state: WorkspaceState, more: object = {}) => ({
  __typename: 'Workspace', id: ID, uuid: UUID, title: 'Lysozyme', state, sequence: (sequence += 1), facility: { ...alpha, gateway: 'https://a.example', connectUrl: '/connect/alpha' },
  environment: reduction, environmentTitle: 'Azimuthal integration', flavour: reduction.flavours[1], proposals: ['P-1'], dataset: 'Dataset:alpha:1', steps: [], requestedAt: NOW,
  changedAt: NOW, seenAt: NOW, endsAt: TOMORROW, waitsUntil: null, stopRequestedAt: null, openUrl: null, problem: null, ...more,
});

let now: unknown;
const stopped: string[] = [];
const centreWith = (workspace: unknown) => {
  now = workspace;
  return new Centre({
    me: () => me,
    facility: () => alpha,
    workspace: () => now,
    workspaces: () => ({ nodes: [now], edges: [], totalCount: 1, pageInfo: { hasNextPage: false, hasPreviousPage: false } }),
    launchWorkspace: () => ({ workspace: task('REQUESTED'), problem: null }),
    stopWorkspace: (({ input }: { input: { id: string } }) => {
      stopped.push(input.id);
      return { workspace: task('STOPPING', { stopRequestedAt: NOW }), problem: null };
    }) as never,
  });
};
/** What the facility says next, to who reads as to who watches. */
async function becomes(centre: Centre, workspace: unknown) {
  now = workspace;
  await waitFor(() => expect(centre.watching.length).toBeGreaterThan(0));
  await act(() => centre.tell('workspaceChanged', workspace));
}
const lookAt = (centre: Centre) => show(<WorkspacePage />, centre, `/workspaces/${encodeURIComponent(ID)}`, '/workspaces/$id');
const isDisabled = (element: HTMLElement) => (element as HTMLButtonElement).disabled;
/** The strip; the live region says the same, a little later. */
const news = () => screen.queryByRole('group', { name: 'News of a task that you started' });
const told = () => screen.findByRole('group', { name: 'News of a task that you started' });
const hide = (hidden: boolean) => {
  vi.spyOn(document, 'hidden', 'get').mockReturnValue(hidden);
  document.dispatchEvent(new Event('visibilitychange'));
};

beforeEach(() => {
  vi.restoreAllMocks();
  stopped.length = 0;
  tasks.belongsTo('Person:1');
  tasks.forgetAll();
});

describe('the form of a task', () => {
  const form = (proposal?: string[], onStarted = () => undefined as void) => (
    <LaunchLoader facility={alpha} wish={{ environment: 'reduction', proposal }} onStarted={onStarted} />
  );

  it('says what a task is, where its results go and that its end is a limit', async () => {
    await show(form(['P-1', 'P-2']), centreWith(null));
    expect(await screen.findByText(/it runs to its end, and nobody needs to watch.*folder “processed”/)).toBeTruthy();
    expect(screen.getByRole('radiogroup', { name: 'Ends at the latest after' })).toBeTruthy();
    expect(screen.getByText(/its results go to P-1/)).toBeTruthy();
    await waitFor(() => expect(isDisabled(screen.getByRole('button', { name: 'Start task' }))).toBe(false));
    await userEvent.selectOptions(screen.getByLabelText('Environment'), 'jupyter');
    expect(screen.getByRole('button', { name: 'Start JupyterLab' })).toBeTruthy();
    expect(screen.getByRole('radiogroup', { name: 'Ends after' })).toBeTruthy();
    expect(screen.queryByText(/nobody needs to watch/)).toBeNull();
    expect(screen.queryByText(/its results go to/)).toBeNull();
  });

  it('asks for a proposal before a press, and starts nothing without one', async () => {
    const centre = centreWith(null);
    await show(form(), centre);
    expect(await screen.findByText('A task needs a proposal: its results go there.')).toBeTruthy();
    expect(isDisabled(screen.getByRole('button', { name: 'Start task' }))).toBe(true);
    await userEvent.type(screen.getByLabelText('Title'), 'x{Enter}');
    expect(centre.asked).not.toContain('Launch');
    await userEvent.type(screen.getByLabelText('A proposal'), 'P-1{Enter}');
    expect(screen.queryByText('A task needs a proposal: its results go there.')).toBeNull();
    await userEvent.click(screen.getByRole('button', { name: 'Start task' }));
    await waitFor(() => expect(tasks.ids.get()).toEqual([ID]));
    expect(centre.asked.filter((name) => name === 'Launch')).toHaveLength(1);
  });

  it('keeps nothing of what was refused, or is no task', async () => {
    const centre = centreWith(null);
    centre.roots = { ...centre.roots, launchWorkspace: () => ({ workspace: task('FAILED', { problem: EXITED }), problem: null }) };
    const { unmount } = await show(form(['P-1']), centre);
    await userEvent.click(await screen.findByRole('button', { name: 'Start task' }));
    await screen.findByRole('alert');
    unmount();
    const started = vi.fn();
    const other = centreWith(null);
    other.roots = { ...other.roots, launchWorkspace: () => ({ workspace: task('REQUESTED', { environment: jupyter }), problem: null }) };
    await show(form(['P-1'], started), other);
    await userEvent.click(await screen.findByRole('button', { name: 'Start task' }));
    await waitFor(() => expect(started).toHaveBeenCalled());
    expect(tasks.ids.get()).toEqual([]);
  });
});

describe('the page of a task', () => {
  it('opens nothing while it runs, says that nobody needs to watch, and that its end is told', async () => {
    await lookAt(centreWith(task('RUNNING', { openUrl: 'https://w.example/' })));
    expect(await screen.findByText(/Runs with nobody watching/)).toBeTruthy();
    expect(screen.getByText(/Ends in .* at the latest/)).toBeTruthy();
    expect(screen.queryByRole('link', { name: /Open/ })).toBeNull();
    // Whoever looks at a task that lives is told of its end, wherever it was started.
    expect(await screen.findByText(/Every page of the portal tells you once it has ended/)).toBeTruthy();
    expect(tasks.ids.get()).toEqual([ID]);
  });

  it('that finished says where its results are', async () => {
    const centre = centreWith(task('RUNNING'));
    await lookAt(centre);
    await screen.findByText(/Runs with nobody watching/);
    await becomes(centre, task('ENDED', { problem: FINISHED }));
    expect(await screen.findByText('The task has finished.')).toBeTruthy();
    expect(screen.getByText(`Its results are in ${PLACE}.`)).toBeTruthy();
    expect(screen.getByText('Finished')).toBeTruthy();
    expect(screen.queryByRole('button', { name: /Stop/ })).toBeNull();
  });

  it('that failed says where its log is, and offers to start it again', async () => {
    await lookAt(centreWith(task('FAILED', { problem: EXITED })));
    expect(await screen.findByText(EXITED.message)).toBeTruthy();
    expect(screen.getByText('Failed')).toBeTruthy();
    const again = screen.getByRole('link', { name: 'Start it again' }).getAttribute('href') ?? '';
    expect(Object.fromEntries(new URL(again, 'https://portal.test').searchParams)).toEqual({
      facility: 'alpha', dataset: 'Dataset:alpha:1', environment: 'reduction', flavour: 'medium', proposal: 'P-1', title: 'Lysozyme',
    });
  });

  it('whose time was over says so, and not that it finished', async () => {
    await lookAt(centreWith(task('ENDED', { problem: LIFETIME })));
    expect(await screen.findByText('Its time was over before the task had finished.')).toBeTruthy();
    expect(screen.queryByText(/has finished|^Finished$/)).toBeNull();
    expect(screen.getByRole('link', { name: 'Start it again' })).toBeTruthy();
  });

  it('that was stopped says that it had not finished', async () => {
    await lookAt(centreWith(task('ENDED', { stopRequestedAt: NOW })));
    expect(await screen.findByText(/The task had not finished/)).toBeTruthy();
  });

  it('is known as finished although its environment is not offered any more', async () => {
    await lookAt(centreWith(task('ENDED', { problem: FINISHED, environment: null })));
    expect(await screen.findByText('The task has finished.')).toBeTruthy();
  });

  it('of unknown state offers no opening', async () => {
    await lookAt(centreWith(task('UNKNOWN')));
    expect(await screen.findByText(/the portal hears how it ended once Alpha Light Source is back/)).toBeTruthy();
    expect(screen.queryByText(/opened directly/)).toBeNull();
  });

  it('is stopped after a question that fits, and not before', async () => {
    await lookAt(centreWith(task('RUNNING')));
    await userEvent.click(await screen.findByRole('button', { name: /^Stop.*Lysozyme$/ }));
    expect(screen.getByText(/It ends unfinished.*stays in the proposal’s folder “processed”/)).toBeTruthy();
    expect(stopped).toEqual([]);
    await userEvent.click(screen.getByRole('button', { name: 'Stop task' }));
    await waitFor(() => expect(stopped).toEqual([ID]));
  });

  it('stands in the list by its state, not by its limit', async () => {
    await show(<WorkspacesPage />, centreWith(task('RUNNING')), '/workspaces', '/workspaces');
    expect(await screen.findByText(/Runs with nobody watching/)).toBeTruthy();
    const soon = new Date(Date.now() + 60_000).toISOString();
    expect(groupOf(task('RUNNING', { endsAt: soon }), Date.now())).toBe('running');
    expect(groupOf(task('RUNNING', { endsAt: soon, environment: jupyter }), Date.now())).toBe('attention');
  });
});

describe('the end of a task', () => {
  const ends: [string, object, RegExp][] = [
    ['finished', task('ENDED', { problem: FINISHED }), /^Azimuthal integration “Lysozyme” has finished at Alpha Light Source\.$/],
    ['failed', task('FAILED', { problem: EXITED }), /^Azimuthal integration “Lysozyme” failed at Alpha Light Source\.$/],
    ['over its limit', task('ENDED', { problem: LIFETIME }), /was ended at Alpha Light Source before it had finished\.$/],
    ['ended by the facility', task('ENDED'), /was ended at Alpha Light Source before it had finished\.$/],
  ];

  it.each(ends)('%s is told on any page of an open tab, until it is dismissed', async (_how, over, sentence) => {
    tasks.keep(ID);
    const centre = centreWith(task('RUNNING'));
    await show(<TaskNews />, centre);
    await waitFor(() => expect(centre.asked).toContain('WorkspaceById'));
    expect(news()).toBeNull();
    await becomes(centre, { ...over, sequence: 1000 });
    expect(await screen.findByText(sentence)).toBeTruthy();
    // Nobody has dismissed it: the next page, and the next visit, tell it again. Nothing is watched any more.
    expect(tasks.ids.get()).toEqual([ID]);
    await waitFor(() => expect(centre.watching).toEqual([]));
    await userEvent.click(screen.getByRole('button', { name: 'Dismiss' }));
    expect(screen.queryByText(sentence)).toBeNull();
    expect(tasks.ids.get()).toEqual([]);
    expect(JSON.parse(localStorage.getItem('parasol.tasks') ?? '')).toEqual({ person: 'Person:1', ids: [] });
  });

  it('while nobody looked is told in the next visit, with a way to its page', async () => {
    tasks.keep(ID);
    const { router } = await show(<TaskNews />, centreWith(task('ENDED', { problem: FINISHED })));
    await userEvent.click(await screen.findByRole('link', { name: 'Show the task' }));
    expect(router.state.location.pathname).toBe(`/workspaces/${encodeURIComponent(ID)}`);
    await waitFor(() => expect(tasks.ids.get()).toEqual([]));
  });

  it('is told as plain text, once where title and environment are the same', async () => {
    tasks.keep(ID);
    const title = '<b>{name}</b>';
    await show(<TaskNews />, centreWith(task('ENDED', { problem: FINISHED, title, environmentTitle: title })));
    expect(await screen.findByText('<b>{name}</b> has finished at Alpha Light Source.')).toBeTruthy();
  });

  it('that the person asked for is no news', async () => {
    tasks.keep(ID);
    const centre = centreWith(task('RUNNING'));
    await show(<TaskNews />, centre);
    await becomes(centre, task('ENDED', { stopRequestedAt: NOW, sequence: 2000 }));
    await waitFor(() => expect(tasks.ids.get()).toEqual([]));
    expect(news()).toBeNull();
  });

  it('is not told of what is unknown: it may still run', async () => {
    tasks.keep(ID);
    const centre = centreWith(task('RUNNING'));
    await show(<TaskNews />, centre);
    await becomes(centre, task('UNKNOWN', { sequence: 3000 }));
    expect(news()).toBeNull();
    expect(tasks.ids.get()).toEqual([ID]);
    centre.reachable = false;
    await act(() => centre.tell('workspaceChanged', task('ENDED', { problem: FINISHED, sequence: 3001 })));
    expect(await screen.findByText(/has finished at/)).toBeTruthy();
  });

  it('of what is no workspace of this person is waited for no longer', async () => {
    tasks.keep(ID);
    await show(<TaskNews />, centreWith(null));
    await waitFor(() => expect(tasks.ids.get()).toEqual([]));
  });

  it('is waited for while the portal does not answer', async () => {
    tasks.keep(ID);
    const centre = centreWith(null);
    centre.reachable = false;
    await show(<TaskNews />, centre);
    await waitFor(() => expect(centre.asked).toContain('WorkspaceById'));
    await act(async () => undefined);
    expect(tasks.ids.get()).toEqual([ID]);
  });

  it('needs no telling on its own page, once somebody looks there', async () => {
    tasks.keep(ID);
    const centre = centreWith(task('ENDED', { problem: FINISHED }));
    hide(true);
    await show(
      <>
        <TaskNews />
        <WorkspacePage />
      </>,
      centre,
      `/workspaces/${encodeURIComponent(ID)}`,
      '/workspaces/$id',
    );
    expect(await screen.findByText('The task has finished.')).toBeTruthy();
    expect(screen.queryByText(/has finished at/)).toBeNull();
    expect(tasks.ids.get()).toEqual([ID]);
    await act(async () => hide(false));
    await waitFor(() => expect(tasks.ids.get()).toEqual([]));
  });
});

describe('every page', () => {
  it('tells it to who is signed in, and watches nothing while nothing is waited for', async () => {
    const centre = centreWith(task('ENDED', { problem: FINISHED }));
    await show(<Shell />, centre);
    await screen.findByText('Ada');
    expect(centre.watching).toEqual([]);
    expect(centre.asked).not.toContain('WorkspaceById');
    act(() => tasks.keep(ID));
    expect((await told()).textContent).toContain('has finished at Alpha Light Source.');
  });

  it('tells nobody else, and nobody after a sign-out', async () => {
    tasks.keep(ID);
    const anonymous = centreWith(task('ENDED', { problem: FINISHED }));
    anonymous.roots = { ...anonymous.roots, me: () => null };
    const first = await show(<Shell />, anonymous);
    await screen.findByText('Sign in');
    expect(anonymous.asked).not.toContain('WorkspaceById');
    // A session that ran out is no sign-out: whoever comes back is told.
    expect(tasks.ids.get()).toEqual([ID]);
    first.unmount();
    const centre = centreWith(task('RUNNING'));
    await show(<Shell />, centre);
    const out = await screen.findByRole('button', { name: 'Sign out', hidden: true });
    out.closest('form')?.addEventListener('submit', (event) => event.preventDefault());
    await userEvent.click(out);
    expect(tasks.ids.get()).toEqual([]);
    expect(JSON.parse(localStorage.getItem('parasol.tasks') ?? '')).toEqual({ person: 'Person:1', ids: [] });
  });

  it('knows nothing of another person’s tasks', async () => {
    tasks.keep(ID);
    const centre = centreWith(task('ENDED', { problem: FINISHED }));
    centre.roots = { ...centre.roots, me: () => ({ ...me, id: 'Person:2' }) };
    await show(<Shell />, centre);
    await screen.findByText('Ada');
    await waitFor(() => expect(tasks.ids.get()).toEqual([]));
    expect(news()).toBeNull();
    expect(centre.asked).not.toContain('WorkspaceById');
    tasks.belongsTo('Person:1');
    expect(tasks.ids.get()).toEqual([]);
  });
});

describe('whether and how a task ended', () => {
  it('is read from its state and reason alone', () => {
    expect(isTask(task('RUNNING') as never)).toBe(true);
    expect(isTask(task('RUNNING', { environment: jupyter }) as never)).toBe(false);
    expect(isTask(task('RUNNING', { environment: null }) as never)).toBe(false);
    for (const state of ['REQUESTED', 'STARTING', 'RUNNING', 'STOPPING', 'UNKNOWN'] as const) expect(endOf(task(state) as never)).toBeNull();
    expect(endOf(task('ENDED') as never)).toBe('ended');
    expect(endWasAsked(task('ENDED', { problem: { code: 'CANCELLED' } }) as never)).toBe(true);
    expect(endWasAsked(task('ENDED', { problem: LIFETIME, stopRequestedAt: NOW }) as never)).toBe(false);
    expect(endWasAsked(task('ENDED', { problem: FINISHED, stopRequestedAt: NOW }) as never)).toBe(false);
    expect(endWasAsked(task('FAILED', { stopRequestedAt: NOW }) as never)).toBe(false);
  });
});
