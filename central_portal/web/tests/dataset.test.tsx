import { screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';
import { DatasetFiles } from '../src/search/DatasetFiles';
import { DatasetPage } from '../src/search/DatasetPage';
import { Centre, facility, show } from './centre';

const page = (paths: string[], end: string | null, total: number | null = 3) => ({
  nodes: paths.map((path) => ({ path, sizeBytes: 2000, modifiedAt: null })),
  totalCount: total,
  pageInfo: { hasNextPage: end !== null, hasPreviousPage: false, startCursor: null, endCursor: end },
});

describe('the files of a dataset', () => {
  it('come page by page, when somebody asks for more', async () => {
    const asked: (string | null)[] = [];
    const centre = new Centre({
      files: (({ after }: { after: string | null }) => {
        asked.push(after);
        return after === 'on' ? page(['raw/c.dat'], null) : page(['a.dat', '<b>.dat'], 'on');
      }) as never,
    });
    await show(<DatasetFiles dataset="Dataset:alpha:1" />, centre);
    expect(await screen.findByText('a.dat')).toBeTruthy();
    expect(screen.getByText('<b>.dat')).toBeTruthy();
    expect(screen.getByText('3 files')).toBeTruthy();
    expect(screen.queryByText('raw/c.dat')).toBeNull();
    await userEvent.click(screen.getByRole('button', { name: 'Show more files' }));
    expect(await screen.findByText('raw/c.dat')).toBeTruthy();
    expect(screen.queryByRole('button', { name: 'Show more files' })).toBeNull();
    expect(asked).toEqual([null, 'on']);
  });

  it('that cannot be read are said to be so, and are read again on demand', async () => {
    let away = true;
    const centre = new Centre({
      files: () => {
        if (away) throw new Error('away');
        return page(['a.dat'], null, null);
      },
    });
    await show(<DatasetFiles dataset="Dataset:alpha:1" />, centre);
    expect(await screen.findByText('The files could not be read just now.')).toBeTruthy();
    away = false;
    await userEvent.click(screen.getByRole('button'));
    expect(await screen.findByText('a.dat')).toBeTruthy();
  });
});

describe('environments that suit a dataset', () => {
  const ID = 'Dataset:alpha:1';
  const offered = (slug: string, more: object = {}) => ({
    __typename: 'Environment', id: `Environment:alpha:${slug}`, slug, title: slug.toUpperCase(), description: '', usedAs: 'NOTEBOOK',
    software: [], techniques: [], definitions: [], ...more,
  });
  const whole = (archiveState: string, environments: object[]) => ({
    __typename: 'Dataset', id: ID, pid: '1', title: 'Lysozyme', proposal: 'P-1', instrument: 'I22', sample: '', definition: 'NXsas', startedAt: null,
    endedAt: null, sizeBytes: 10, files: 1, isOpen: false, techniques: [], keywords: [], parameters: [], doi: null, licence: null,
    releasedAt: null, archiveState, isRestorable: false, environments, facility: facility('alpha'),
  });
  const draw = (archiveState: string, environments: object[]) =>
    show(
      <DatasetPage />,
      new Centre({ node: () => whole(archiveState, environments), files: () => page([], null, 0) }),
      `/datasets/${encodeURIComponent(ID)}`,
      '/datasets/$id',
    );
  const saxs = offered('saxs', {
    description: 'For scattering.', software: [{ name: 'pyFAI', version: '2026.9' }],
    techniques: [{ id: 'PaNET01124', title: 'small angle scattering' }], definitions: ['NXsas'],
  });

  it('are links into the form, in the order of the centre, with what each is meant for', async () => {
    const { router } = await draw('ONLINE', [saxs, offered('any')]);
    const links = await screen.findAllByRole('link', { name: /^Analyse with/ });
    expect(links.map((link) => link.textContent)).toEqual(['Analyse with SAXS', 'Analyse with ANY']);
    expect(screen.getAllByText(/^Meant for/).map((said) => said.textContent)).toEqual(['Meant for small angle scattering, NXsas']);
    expect(screen.getByText('For scattering.')).toBeTruthy();
    expect(screen.getByText('pyFAI 2026.9')).toBeTruthy();
    await userEvent.click(links[0]!);
    expect(await screen.findByText('at /launch')).toBeTruthy();
    expect(router.state.location.search).toEqual({ facility: 'alpha', dataset: ID, environment: 'saxs' });
  });

  it('are named only, while its data are in the archive', async () => {
    await draw('ARCHIVED', [saxs]);
    expect(await screen.findByRole('heading', { name: 'Environments for this dataset' })).toBeTruthy();
    expect(screen.getByText('SAXS', { exact: false })).toBeTruthy();
    expect(screen.queryByRole('link', { name: /^Analyse/ })).toBeNull();
  });

  it('are not spoken of when there is none', async () => {
    await draw('ONLINE', []);
    expect(await screen.findByRole('link', { name: 'Analyse' })).toBeTruthy();
    expect(screen.queryByRole('heading', { name: 'Environments for this dataset' })).toBeNull();
  });
});
