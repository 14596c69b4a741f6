import { screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { LaunchLoader } from '../src/launch/LaunchLoader';
import { lastEnvironment } from '../src/launch/memory';
import { Centre, facility, show } from './centre';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TOMORROW = new Date(Date.now() + 86_400_000).toISOString();
const LINKED = { id: 'L', state: 'LINKED', checkedAt: null, grant: { scopes: ['READ', 'RUN'], expiresAt: TOMORROW } } as const;
const me = { id: 'me', name: 'Ada', provider: 'umbrella', sessionExpiresAt: TOMORROW, accountLinks: [] };

interface Input {
  id: string;
  environment: string;
  flavour: string;
  proposals: string[];
  title: string;
  lifetimeSeconds: number;
  dataset?: string;
}

const alpha = facility('alpha', { accountLink: { ...LINKED, grant: { scopes: ['READ', 'RUN'], expiresAt: TOMORROW } } });
const started = (input: Input) => ({
  workspace: {
    id: `W:${input.id}`, uuid: input.id, title: input.title, facility: { ...alpha, gateway: 'https://a.example', connectUrl: '/connect/alpha' },
    environmentTitle: 'JupyterLab', proposals: input.proposals, state: 'REQUESTED', sequence: 0, steps: [], requestedAt: TOMORROW,
    changedAt: TOMORROW,
  },
});
const refused = (code: string) => ({ problem: { code, message: `The server says ${code}.`, retryable: false, metadata: [] } });

let inputs: Input[];
let answer: (input: Input) => unknown;
const centreOf = (offered = alpha, person: unknown = me) =>
  new Centre({
    me: () => person,
    facility: () => offered,
    launchWorkspace: (({ input }: { input: Input }) => {
      inputs.push(input);
      return answer(input);
    }) as never,
  });
const onStarted = vi.fn();
const form = () => (
  <LaunchLoader facility={alpha} dataset="D:1" wish={{ title: 'Silver behenate', proposal: ['P-1'] }} onStarted={onStarted} onCancel={() => undefined} />
);
const isChecked = (element: HTMLElement) => (element as HTMLInputElement).checked;
const isDisabled = (element: HTMLElement) => (element as HTMLButtonElement).disabled;
const startButton = () => screen.findByRole('button', { name: 'Start JupyterLab' });

beforeEach(() => {
  inputs = [];
  answer = started;
  onStarted.mockReset();
});

describe('the launch form', () => {
  it('asks for exactly what it shows, under a fresh lower-case id', async () => {
    await show(form(), centreOf());
    await userEvent.click(await screen.findByRole('radio', { name: /Small/ }));
    await userEvent.click(screen.getByRole('radio', { name: /^1 hr/ }));
    await userEvent.click(await startButton());
    await waitFor(() => expect(onStarted).toHaveBeenCalledTimes(1));
    expect(inputs).toHaveLength(1);
    expect(inputs[0]).toMatchObject({
      environment: 'E:jupyter', flavour: 'V:small', lifetimeSeconds: 3600, proposals: ['P-1'], title: 'Silver behenate', dataset: 'D:1',
    });
    expect(inputs[0]?.id).toMatch(UUID);
    expect(lastEnvironment('alpha')).toBe('jupyter');
  });

  it('begins with the recommended size and says as whom it runs', async () => {
    await show(form(), centreOf());
    expect(isChecked(await screen.findByRole('radio', { name: /Medium.*Recommended/ }))).toBe(true);
    expect(screen.getByText(/service user, not as your own account/)).toBeDefined();
  });

  it('starts nothing by itself', async () => {
    await show(form(), centreOf());
    await startButton();
    expect(inputs).toEqual([]);
  });

  it('keeps its id while nobody knows whether the press arrived', async () => {
    const centre = centreOf();
    await show(form(), centre);
    const button = await startButton();
    centre.reachable = false;
    await userEvent.click(button);
    expect(await screen.findByText(/not known whether this has started/)).toBeDefined();
    const lost = centre.asked.filter((name) => name === 'Launch');
    expect(lost).toHaveLength(1);
    centre.reachable = true;
    answer = () => {
      throw Object.assign(new Error('x'), { extensions: { code: 'DEADLINE_EXCEEDED' } });
    };
    await userEvent.click(await startButton());
    await screen.findByText(/did not answer in time/);
    answer = started;
    await userEvent.click(await startButton());
    await waitFor(() => expect(onStarted).toHaveBeenCalledTimes(1));
    expect(new Set(inputs.map((input) => input.id)).size).toBe(1);
  });

  it('takes a new id after a definite refusal, and shows the reason inside', async () => {
    await show(form(), centreOf());
    answer = () => refused('QUOTA_EXCEEDED');
    await userEvent.click(await startButton());
    const alert = await screen.findByRole('alert');
    expect(within(alert).getByText(/Your limit at Alpha Light Source is reached/)).toBeDefined();
    expect(within(alert).getByText('The server says QUOTA_EXCEEDED.')).toBeDefined();
    expect(onStarted).not.toHaveBeenCalled();
    answer = started;
    await userEvent.click(await startButton());
    await waitFor(() => expect(onStarted).toHaveBeenCalledTimes(1));
    expect(new Set(inputs.map((input) => input.id)).size).toBe(2);
  });

  it('shows a refusal that came as a failed workspace', async () => {
    await show(form(), centreOf());
    answer = (input) => ({ workspace: { ...started(input).workspace, state: 'FAILED', ...refused('PROPOSAL_DENIED') } });
    await userEvent.click(await startButton());
    expect(await screen.findByText(/not a member of this proposal/)).toBeDefined();
    expect(onStarted).not.toHaveBeenCalled();
  });

  it('leads to the facility’s sign-in and back with the form kept', async () => {
    const { router } = await show(form(), centreOf());
    answer = () => refused('SIGN_IN_NEEDED');
    await userEvent.click(await screen.findByRole('radio', { name: /Small/ }));
    await userEvent.click(await startButton());
    await userEvent.click(await screen.findByRole('link', { name: 'Sign in at Alpha Light Source' }));
    await screen.findByText('at /connect/$slug');
    expect(router.state.location.pathname).toBe('/connect/alpha');
    const back = new URL(String((router.state.location.search as { return?: string }).return), 'https://portal.test');
    expect(back.pathname).toBe('/launch');
    expect(Object.fromEntries(back.searchParams)).toEqual({
      facility: 'alpha', dataset: 'D:1', environment: 'jupyter', flavour: 'small', lifetime: '28800', proposal: 'P-1', title: 'Silver behenate',
    });
  });

  it('shows an unknown code in the server’s words, as plain text', async () => {
    await show(form(), centreOf());
    answer = () => ({ problem: { code: 'NEW_CODE', message: '<img src=x onerror=alert(1)> is new.', retryable: false, metadata: [] } });
    await userEvent.click(await startButton());
    expect(await screen.findByText('<img src=x onerror=alert(1)> is new.')).toBeDefined();
    expect(document.querySelector('img')).toBeNull();
  });

  it('offers the sign-in in place of Start where it is known to be needed', async () => {
    await show(form(), centreOf(facility('alpha', { accountLink: { ...LINKED, grant: null } })));
    expect(await screen.findByRole('link', { name: 'Sign in at Alpha Light Source' })).toBeDefined();
    expect(screen.queryByRole('button', { name: 'Start JupyterLab' })).toBeNull();
  });

  it('offers the portal’s sign-in to who is not signed in', async () => {
    await show(form(), centreOf(facility('alpha'), null));
    const link = await screen.findByRole('link', { name: 'Sign in with UmbrellaID' });
    expect(link.getAttribute('href')).toMatch(/^\/signin\/umbrella\?return=%2Flaunch%3Ffacility%3Dalpha/);
  });

  it('cannot be pressed while the facility is not connected and cannot be asked in one’s name', async () => {
    await show(form(), centreOf(facility('alpha', { state: 'OFFLINE' })));
    const button = await startButton();
    expect(isDisabled(button)).toBe(true);
    await userEvent.click(button);
    expect(inputs).toEqual([]);
  });

  it('waits for a facility that is away when it may be asked', async () => {
    await show(form(), centreOf(facility('alpha', { state: 'OFFLINE', accountLink: alpha.accountLink })));
    expect(await screen.findByText(/waits for it, at most ten minutes/)).toBeTruthy();
    await userEvent.click(await startButton());
    await waitFor(() => expect(inputs).toHaveLength(1));
  });

  it('adds and removes proposals without starting', async () => {
    await show(form(), centreOf());
    await userEvent.type(await screen.findByLabelText('Another proposal'), 'P-2, P-3 P-1{Enter}');
    await userEvent.click(screen.getByRole('button', { name: 'Remove P-2' }));
    expect(inputs).toEqual([]);
    await userEvent.click(await startButton());
    await waitFor(() => expect(inputs).toHaveLength(1));
    expect(inputs[0]?.proposals).toEqual(['P-1', 'P-3']);
  });

  it('falls back to what is offered when the environment changes', async () => {
    await show(form(), centreOf());
    await userEvent.selectOptions(await screen.findByLabelText('Environment'), 'desktop');
    expect(isChecked(screen.getByRole('radio', { name: /Medium/ }))).toBe(true);
    expect(isDisabled(screen.getByRole('button', { name: 'Start Desktop' }))).toBe(false);
  });
});
