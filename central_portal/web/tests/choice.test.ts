import { describe, expect, it } from 'vitest';
import { blockerOf } from '../src/launch/blocker';
import { firstChoice, lifetimeAmong, lifetimes, linkOf, offerOf, settled, withProposals } from '../src/launch/choice';
import { facility } from './centre';

const HOUR = 3600;
const alpha = facility('alpha');

describe('what the form begins with', () => {
  it('is the first environment in its recommended size for eight hours', () => {
    expect(firstChoice(alpha, {}, null)).toEqual({
      environment: 'jupyter', flavour: 'medium', lifetime: 8 * HOUR, proposals: [], title: '',
    });
  });

  it('is what was used last there, and what a deep link wishes before that', () => {
    expect(firstChoice(alpha, {}, 'desktop')?.environment).toBe('desktop');
    expect(firstChoice(alpha, { environment: 'jupyter', flavour: 'small', lifetime: HOUR, title: 'T', proposal: ['P'] }, 'desktop')).toEqual({
      environment: 'jupyter', flavour: 'small', lifetime: HOUR, proposals: ['P'], title: 'T',
    });
  });

  it('replaces wishes for what is not offered', () => {
    expect(firstChoice(alpha, { environment: 'gone', flavour: 'huge', lifetime: 77 }, null)).toEqual({
      environment: 'jupyter', flavour: 'medium', lifetime: 8 * HOUR, proposals: [], title: '',
    });
  });

  it('is the smallest size where none is recommended', () => {
    expect(firstChoice(alpha, { environment: 'desktop' }, null)?.flavour).toBe('medium');
  });

  it('is nothing where nothing is offered', () => {
    expect(firstChoice({ ...alpha, environments: [] }, {}, null)).toBeNull();
  });
});

describe('lifetimes', () => {
  it('never exceed what the size allows', () => {
    expect(lifetimes(5 * HOUR)).toEqual([HOUR, 4 * HOUR]);
    expect(lifetimes(600)).toEqual([600]);
    for (const longest of [60, HOUR, 7 * HOUR, 24 * HOUR, 30 * 24 * HOUR]) {
      expect(Math.max(...lifetimes(longest))).toBeLessThanOrEqual(longest);
      expect(lifetimeAmong(lifetimes(longest), undefined)).toBeLessThanOrEqual(longest);
    }
  });

  it('follow a change to a size that lives shorter', () => {
    const choice = { environment: 'jupyter', flavour: 'small', lifetime: 72 * HOUR, proposals: [], title: '' };
    const offer = offerOf(alpha, choice);
    expect(offer && settled(choice, offer).lifetime).toBe(8 * HOUR);
  });
});

describe('proposals', () => {
  it('are each mounted once, bounded in number and length', () => {
    expect(withProposals(['A'], ['A', ' B ', '', 'x'.repeat(101)])).toEqual(['A', 'B']);
    expect(withProposals([], Array.from({ length: 30 }, (_, index) => `P${index}`))).toHaveLength(20);
  });
});

describe('the deep link', () => {
  it('fills the form in the same way again', () => {
    const choice = firstChoice(alpha, { flavour: 'small', proposal: ['P'], title: 'T' }, null);
    expect(choice && firstChoice(alpha, linkOf(alpha, choice, 'D'), 'desktop')).toEqual(choice);
  });
});

describe('what is in the way of a start', () => {
  const grant = (scopes: ('READ' | 'RUN')[], expiresAt: string) => ({
    ...alpha, accountLink: { id: 'L', state: 'LINKED' as const, checkedAt: null, grant: { scopes, expiresAt } },
  });

  it('is named in the order in which it can be mended', () => {
    expect(blockerOf(false, { ...alpha, state: 'OFFLINE' })).toBe('OFFLINE');
    expect(blockerOf(false, alpha)).toBe('SIGN_IN');
    expect(blockerOf(true, { ...alpha, accountLink: { id: 'L', state: 'NOT_LINKED', checkedAt: null, grant: null } })).toBe('LINK');
    expect(blockerOf(true, grant(['READ'], '2026-06-16T00:00:00Z'))).toBe('CONNECT');
    expect(blockerOf(true, { ...alpha, accountLink: { id: 'L', state: 'LINKED', checkedAt: null, grant: null } })).toBe('CONNECT');
    expect(blockerOf(true, grant(['READ', 'RUN'], '2026-06-16T00:00:00Z'))).toBeNull();
    expect(blockerOf(true, { ...grant(['READ', 'RUN'], '2026-06-16T00:00:00Z'), state: 'OFFLINE' })).toBeNull();
    expect(blockerOf(true, { ...grant(['READ'], '2026-06-16T00:00:00Z'), state: 'OFFLINE' })).toBe('OFFLINE');
  });

  it('does not depend on this browser’s clock: the centre names living grants only', () => {
    expect(blockerOf(true, grant(['READ', 'RUN'], '1999-01-01T00:00:00Z'))).toBeNull();
  });
});
