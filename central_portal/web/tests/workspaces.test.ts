import { describe, expect, it } from 'vitest';
import { NewestWord } from '../src/api/freshness';
import type { WorkspaceState } from '../src/gql/graphql';
import { groupOf, inOrder } from '../src/workspaces/order';

const now = Date.parse('2026-06-15T12:00:00Z');
const at = (hours: number) => new Date(now + hours * 3_600_000).toISOString();
const workspace = (id: string, state: WorkspaceState, more: { endsAt?: string; changedAt?: string; requestedAt?: string } = {}) => ({
  id, state, changedAt: at(-1), requestedAt: at(-2), ...more,
});

describe('the order of workspaces', () => {
  it('puts what needs attention first and what is over last', () => {
    const all = [
      workspace('ended', 'ENDED'),
      workspace('running', 'RUNNING', { endsAt: at(5) }),
      workspace('starting', 'STARTING'),
      workspace('ending', 'RUNNING', { endsAt: at(0.5) }),
      workspace('failed', 'FAILED'),
      workspace('unknown', 'UNKNOWN', { requestedAt: at(-9) }),
      workspace('failed long ago', 'FAILED', { changedAt: at(-30) }),
    ];
    expect(inOrder(all, now).map((each) => each.id)).toEqual([
      'ending', 'failed', 'unknown', 'starting', 'running', 'ended', 'failed long ago',
    ]);
    expect(all[0]?.id).toBe('ended');
  });

  it('never takes unknown for over', () => {
    expect(groupOf(workspace('x', 'UNKNOWN', { changedAt: at(-9000), endsAt: at(-100) }), now)).toBe('attention');
  });

  it('has a place for every state', () => {
    const states: WorkspaceState[] = ['REQUESTED', 'STARTING', 'RUNNING', 'STOPPING', 'ENDED', 'FAILED', 'UNKNOWN'];
    for (const state of states) expect(groupOf(workspace('x', state), now)).toBeTypeOf('string');
  });
});

describe('the newest word on a workspace', () => {
  const word = (sequence: number, state: string) => ({ __typename: 'Workspace', id: 'w', sequence, state });

  it('is not replaced by an older one, wherever it comes', () => {
    const words = new NewestWord();
    words.apply({ workspaceChanged: word(3, 'RUNNING') });
    expect(words.apply({ workspaceChanged: word(2, 'STARTING') })).toEqual({ workspaceChanged: word(3, 'RUNNING') });
    expect(words.apply({ workspaces: { nodes: [word(1, 'REQUESTED')] } })).toEqual({ workspaces: { nodes: [word(3, 'RUNNING')] } });
    expect(words.apply({ workspaceChanged: word(4, 'STOPPING') })).toEqual({ workspaceChanged: word(4, 'STOPPING') });
  });

  it('is taken again at the same sequence: the facility may have gone offline since', () => {
    const words = new NewestWord();
    words.apply(word(3, 'RUNNING'));
    expect(words.apply(word(3, 'UNKNOWN'))).toEqual(word(3, 'UNKNOWN'));
  });

  it('ends in the same state in whatever order reports come, and however often', () => {
    const reports = [word(1, 'REQUESTED'), word(2, 'STARTING'), word(3, 'RUNNING')];
    for (const order of [[0, 1, 2], [2, 1, 0], [1, 2, 2, 0, 1], [2, 0, 1, 2]]) {
      const words = new NewestWord();
      const last = order.map((index) => words.apply(reports[index])).at(-1);
      expect(last).toEqual(word(3, 'RUNNING'));
    }
  });

  it('keeps workspaces apart and leaves everything else alone', () => {
    const words = new NewestWord();
    words.apply({ ...word(9, 'ENDED'), id: 'other' });
    const data = { me: null, list: [1, 'two', { __typename: 'Facility', id: 'w', sequence: 'x' }], workspace: word(1, 'STARTING') };
    expect(words.apply(data)).toEqual(data);
  });
});
