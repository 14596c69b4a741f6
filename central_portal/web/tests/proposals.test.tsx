import { screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';
import { ProposalsList } from '../src/proposals/ProposalsPage';
import { Centre, show } from './centre';

const facility = (slug: string) => ({ id: `F:${slug}`, slug, name: slug.toUpperCase(), stateSince: null });

const proposal = (slug: string, pid: string, more: object = {}) => ({
  __typename: 'Proposal', id: `Proposal:${slug}:${pid}`, pid, title: '', instruments: [], startedAt: null, endedAt: null, isOpen: false,
  facility: facility(slug), ...more,
});

const outcome = (slug: string, how: string, count = 0) => ({ facility: facility(slug), outcome: how, count, ageSeconds: null, problem: null });

const page = (nodes: object[], outcomes: object[], end: string | null = null) => ({
  nodes, outcomes, edges: [], pageInfo: { hasNextPage: end !== null, hasPreviousPage: false, startCursor: null, endCursor: end },
});

describe('one’s own proposals', () => {
  it('are listed with facility, dates and instruments, and lead to their data', async () => {
    const dates = { startedAt: '2024-03-01T08:00:00Z', endedAt: '2024-03-04T08:00:00Z' };
    const centre = new Centre({
      proposals: () => page([proposal('alpha', 'P-1', { title: 'Silk', instruments: ['I22', 'I11'], ...dates })], [outcome('alpha', 'OK', 1)]),
    });
    await show(<ProposalsList text="" />, centre);
    const article = await screen.findByRole('article', { name: 'Silk' });
    expect(article.textContent).toContain('ALPHA · I22 and I11 · Mar 1, 2024 – Mar 4, 2024');
    expect(within(article).getByRole('link', { name: 'Silk' }).getAttribute('href')).toContain('/proposals/');
    expect(within(article).getByRole('link', { name: /^Show its data.*Silk$/ }).getAttribute('href')).toBe(
      '/search?facility=alpha&proposal=P-1',
    );
    expect(screen.getByText('1 proposal')).toBeTruthy();
  });

  it('come page by page, and outcomes add up', async () => {
    const asked: unknown[] = [];
    const centre = new Centre({
      proposals: (({ after, query }: { after: string | null; query: { text: string } }) => {
        asked.push([query.text, after]);
        return after === 'on'
          ? page([proposal('beta', 'P-2')], [outcome('beta', 'OK', 1)])
          : page([proposal('alpha', 'P-1')], [outcome('alpha', 'OK', 1), outcome('beta', 'OK', 0)], 'on');
      }) as never,
    });
    await show(<ProposalsList text="silk" />, centre);
    expect(await screen.findByText('The newest 1 proposal')).toBeTruthy();
    await userEvent.click(screen.getByRole('button', { name: 'Load more proposals' }));
    expect(await screen.findByText('2 proposals')).toBeTruthy();
    expect(screen.getAllByRole('article').map((each) => within(each).getByRole('heading').textContent)).toEqual(['P-1', 'P-2']);
    expect(screen.queryByRole('button', { name: 'Load more proposals' })).toBeNull();
    expect(asked).toEqual([['silk', null], ['silk', 'on']]);
    await userEvent.click(screen.getByRole('button', { expanded: false }));
    expect((await screen.findAllByRole('listitem')).map((each) => each.textContent)).toEqual(
      expect.arrayContaining(['ALPHA: 1 found.', 'BETA: 1 found.']),
    );
  });

  it('that are none are said to be none, and who is missing is named', async () => {
    const centre = new Centre({ proposals: () => page([], [outcome('alpha', 'OFFLINE'), outcome('beta', 'OK')]) });
    await show(<ProposalsList text="" />, centre);
    expect(await screen.findByText('No facility knows a proposal of yours.')).toBeTruthy();
    expect(screen.getByText('Some facilities are missing or incomplete, so there may be more.')).toBeTruthy();
    await userEvent.click(screen.getByRole('button', { expanded: false }));
    expect(await screen.findByText('ALPHA is not connected at the moment; your proposals there are missing from this list.')).toBeTruthy();
  });

  it('that could not be read are read again on demand', async () => {
    let away = true;
    const centre = new Centre({
      proposals: () => {
        if (away) throw new Error('away');
        return page([proposal('alpha', 'P-1')], [outcome('alpha', 'OK', 1)]);
      },
    });
    await show(<ProposalsList text="" />, centre);
    expect(await screen.findByText('Your proposals could not be read just now.')).toBeTruthy();
    away = false;
    await userEvent.click(screen.getByRole('button'));
    expect(await screen.findByText('1 proposal')).toBeTruthy();
    expect(screen.queryByText('Your proposals could not be read just now.')).toBeNull();
  });

  it('have markup as text', async () => {
    const centre = new Centre({ proposals: () => page([proposal('alpha', 'P-1', { title: '<img src=x>' })], [outcome('alpha', 'OK', 1)]) });
    await show(<ProposalsList text="" />, centre);
    expect(await screen.findByText('<img src=x>')).toBeTruthy();
    expect(document.querySelector('img')).toBeNull();
  });
});
