import { act, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it } from 'vitest';
import { asked, forgetRestores, watchRestore } from '../src/restore/asked';
import { RestoreNews } from '../src/restore/RestoreNews';
import { DatasetPage } from '../src/search/DatasetPage';
import { Centre, facility, show } from './centre';

const ID = 'Dataset:alpha:1';
const whole = (archiveState: string, more: object = {}) => ({
  __typename: 'Dataset', id: ID, pid: '1', title: 'Lysozyme', proposal: 'P-1', instrument: 'I22', sample: '', definition: '', startedAt: null,
  endedAt: null, sizeBytes: 10, files: 1, isOpen: false, techniques: [], keywords: [], parameters: [], doi: null, licence: null,
  releasedAt: null, archiveState, isRestorable: true, facility: facility('alpha'), ...more,
});
const noFiles = { nodes: [], totalCount: 0, pageInfo: { hasNextPage: false, hasPreviousPage: false, startCursor: null, endCursor: null } };

function centreWith(state: string, more: object = {}, restored: object = {}) {
  const pressed: unknown[] = [];
  const centre = new Centre({
    node: () => whole(state, more),
    files: () => noFiles,
    restoreDataset: (({ input }: { input: { dataset: string } }) => {
      pressed.push(input.dataset);
      return { dataset: whole('RESTORING', more), waiting: false, problem: null, ...restored };
    }) as never,
  });
  return { centre, pressed };
}

const page = (centre: Centre) =>
  show(
    <>
      <RestoreNews />
      <DatasetPage />
    </>,
    centre,
    `/datasets/${encodeURIComponent(ID)}`,
    '/datasets/$id',
  );
const analyse = () => screen.queryByRole('link', { name: 'Analyse' });

beforeEach(() => {
  sessionStorage.clear();
  forgetRestores();
});

describe('a dataset in the archive', () => {
  it('is restored by a press, watched, and offered for analysis once it is there', async () => {
    const { centre, pressed } = centreWith('ARCHIVED');
    await page(centre);
    const button = await screen.findByRole('button', { name: 'Restore' });
    expect(analyse()).toBeNull();
    expect(pressed).toEqual([]);
    await userEvent.click(button);
    expect(await screen.findByText(/This page shows it by itself/)).toBeTruthy();
    expect(pressed).toEqual([ID]);
    expect(screen.queryByRole('button', { name: 'Restore' })).toBeNull();
    expect(analyse()).toBeNull();
    await waitFor(() => expect(centre.watching.length).toBeGreaterThan(0));
    await act(() => centre.tell('datasetChanged', whole('RESTORING')));
    await act(() => centre.tell('datasetChanged', whole('ONLINE')));
    await waitFor(() => expect(analyse()).not.toBeNull());
    expect(screen.getByText('Lysozyme is on disk at Alpha Light Source now.')).toBeTruthy();
    expect(asked.get()).toEqual([]);
  });

  it('that did not come back is said to be so, and can be asked for again', async () => {
    const { centre } = centreWith('ARCHIVED');
    await page(centre);
    await userEvent.click(await screen.findByRole('button', { name: 'Restore' }));
    await waitFor(() => expect(centre.watching.length).toBeGreaterThan(0));
    await act(() => centre.tell('datasetChanged', whole('RESTORING')));
    await act(() => centre.tell('datasetChanged', whole('ARCHIVED')));
    expect(await screen.findByText('Lysozyme did not come back from the archive of Alpha Light Source.')).toBeTruthy();
    expect(screen.getByRole('button', { name: 'Restore' })).toBeTruthy();
    expect(analyse()).toBeNull();
  });

  it('says why its facility refuses', async () => {
    const problem = { code: 'SCOPE_DENIED', message: 'No.', retryable: false, metadata: [] };
    const { centre } = centreWith('ARCHIVED', {}, { dataset: null, problem });
    await page(centre);
    await userEvent.click(await screen.findByRole('button', { name: 'Restore' }));
    expect(await screen.findByRole('alert')).toBeTruthy();
    expect(screen.getByText(/You have not allowed the portal to do this at Alpha Light Source/)).toBeTruthy();
    expect(asked.get()).toEqual([]);
    expect(screen.getByRole('button', { name: 'Restore' })).toBeTruthy();
  });

  it('waits for a facility that is away, and that is no failure', async () => {
    const { centre } = centreWith('ARCHIVED', {}, { dataset: null, waiting: true });
    await page(centre);
    await userEvent.click(await screen.findByRole('button', { name: 'Restore' }));
    expect(await screen.findByText('What you asked waits for it, at most ten minutes.')).toBeTruthy();
    await waitFor(() => expect(asked.get()).toEqual([ID]));
    await act(() => centre.tell('datasetChanged', whole('ARCHIVED')));
    expect(screen.queryByText(/did not come back/)).toBeNull();
    expect(asked.get()).toEqual([ID]);
  });

  it('that nobody knows was asked for says so', async () => {
    const { centre } = centreWith('ARCHIVED');
    await page(centre);
    const button = await screen.findByRole('button', { name: 'Restore' });
    centre.reachable = false;
    await userEvent.click(button);
    expect(await screen.findByText(/it is not known whether the archive was asked/)).toBeTruthy();
  });

  it('cannot be asked for where its facility has no interface to it', async () => {
    const { centre } = centreWith('ARCHIVED', { isRestorable: false });
    await page(centre);
    expect(await screen.findByText(/Alpha Light Source cannot be asked from here/)).toBeTruthy();
    expect(screen.queryByRole('button', { name: 'Restore' })).toBeNull();
    expect(analyse()).toBeNull();
  });
});

describe('other places', () => {
  it('on disk: nothing stands between it and its analysis, and nothing is watched', async () => {
    const { centre } = centreWith('ONLINE');
    await page(centre);
    await waitFor(() => expect(analyse()).not.toBeNull());
    expect(screen.queryByRole('button', { name: 'Restore' })).toBeNull();
    expect(centre.watching).toEqual([]);
  });

  it('unknown: its facility decides, and that is said', async () => {
    const { centre } = centreWith('UNKNOWN');
    await page(centre);
    expect(await screen.findByText(/cannot tell whether its data are on disk/)).toBeTruthy();
    expect(analyse()).not.toBeNull();
    expect(screen.queryByRole('button', { name: 'Restore' })).toBeNull();
  });

  it('are news on any page, until they are dismissed', async () => {
    watchRestore(ID);
    const centre = new Centre({});
    await show(<RestoreNews />, centre);
    await waitFor(() => expect(centre.watching.length).toBe(1));
    await act(() => centre.tell('datasetChanged', whole('ONLINE', { title: '<b>Lysozyme</b>' }), { dataset: ID }));
    expect(await screen.findByText('<b>Lysozyme</b> is on disk at Alpha Light Source now.')).toBeTruthy();
    expect(centre.watching).toEqual([]);
    expect(sessionStorage.getItem('parasol.restores')).toBe('[]');
    await userEvent.click(screen.getByRole('button', { name: 'Dismiss' }));
    expect(screen.queryByText(/is on disk/)).toBeNull();
  });

  it('at most ten are watched, the newest ones', () => {
    for (let n = 0; n < 12; n += 1) watchRestore(`Dataset:alpha:${n}`);
    expect(asked.get().length).toBe(10);
    expect(asked.get()[0]).toBe('Dataset:alpha:2');
  });
});
