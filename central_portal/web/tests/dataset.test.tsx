import { screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';
import { DatasetFiles } from '../src/search/DatasetFiles';
import { Centre, show } from './centre';

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
