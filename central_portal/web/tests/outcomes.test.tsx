import { screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';
import type { Outcome } from '../src/gql/graphql';
import { Completeness } from '../src/search/Completeness';
import type { FacilityOutcome } from '../src/search/queries';
import { PROPOSAL_OUTCOMES } from '../src/words/outcomes';
import { Centre, show } from './centre';

const outcome = (how: Outcome, more: Partial<FacilityOutcome> = {}): FacilityOutcome => ({
  facility: { id: 'F:alpha', slug: 'alpha', name: 'Alpha', stateSince: null }, outcome: how, count: 3, ageSeconds: null, problem: null, ...more,
});

async function line(said: FacilityOutcome, words?: typeof PROPOSAL_OUTCOMES): Promise<HTMLElement> {
  await show(
    <Completeness outcomes={[said]} done asking={new Set()} askAgain={() => undefined} {...(words ? { words } : {})} />, new Centre({}),
  );
  await userEvent.click(await screen.findByRole('button', { expanded: false }));
  return within(await screen.findByRole('list', { name: 'How each facility answered' })).getByRole('listitem');
}

describe('how a facility answered', () => {
  it('says how old the portal’s copy is', async () => {
    expect((await line(outcome('OK', { ageSeconds: 125 }))).textContent).toBe('Alpha: 3 found.The portal’s copy was read 2 min ago. ');
  });

  it('says of a copy that may not be all why that is, and how old it is', async () => {
    const problem = { code: 'PARTIAL', message: 'The facility is away.', retryable: true };
    const text = (await line(outcome('PARTIAL', { ageSeconds: 7200, problem }))).textContent;
    expect(text).toContain('Alpha: 3 found in the portal’s copy of its open data; there may be more.');
    expect(text).toContain('The facility is away. The portal’s copy was read 2 hr ago.');
  });

  it('says why it failed in the facility’s own words, as text', async () => {
    const problem = { code: 'BACKEND_FAILED', message: 'The <b>catalogue</b> is broken.', retryable: true };
    const said = await line(outcome('FAILED', { problem }));
    expect(said.textContent).toContain('Alpha could not search because of a fault on its side');
    expect(said.textContent).toContain('The <b>catalogue</b> is broken.');
    expect(within(said).getByRole('button', { name: /^Ask again.*Alpha$/ })).toBeTruthy();
  });

  it('says since when a facility is away', async () => {
    const iso = new Date(Date.now() - 2 * 3_600_000).toISOString();
    const said = await line(outcome('OFFLINE', { facility: { id: 'F:alpha', slug: 'alpha', name: 'Alpha', stateSince: iso } }));
    expect(said.textContent).toContain('Last connected 2 hours ago.');
  });

  it('has no age where the facility itself answered', async () => {
    expect((await line(outcome('OK'))).textContent).toBe('Alpha: 3 found.');
  });

  it('speaks of proposals in a list of proposals', async () => {
    const said = await line(outcome('SIGN_IN_NEEDED', { count: 0 }), PROPOSAL_OUTCOMES);
    expect(said.textContent).toContain('Alpha: sign in there to see your proposals.');
    expect(within(said).getByRole('link', { name: /^Sign in there.*Alpha$/ })).toBeTruthy();
  });
});
