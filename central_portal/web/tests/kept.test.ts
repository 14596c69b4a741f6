import { beforeEach, describe, expect, it } from 'vitest';
import { Kept } from '../src/lib/kept';

const KEY = 'parasol.test';
const stored = (): unknown => JSON.parse(localStorage.getItem(KEY) ?? 'null');
const tab = (person = 'Person:1', storage = () => localStorage) => {
  const kept = new Kept(KEY, storage, 3);
  kept.belongsTo(person);
  return kept;
};
const otherTabWrote = () => window.dispatchEvent(new StorageEvent('storage', { key: KEY, storageArea: localStorage }));

beforeEach(() => localStorage.clear());

describe('what a person waits for', () => {
  it('is there again in a later visit, until it is forgotten', () => {
    const before = tab();
    before.keep('a');
    before.keep('b');
    const later = tab();
    expect(later.ids.get()).toEqual(['a', 'b']);
    later.forget('a');
    expect(tab().ids.get()).toEqual(['b']);
    later.forgetAll();
    expect(tab().ids.get()).toEqual([]);
  });

  it('is never another person’s, and goes when another signs in', () => {
    tab('Person:1').keep('a');
    expect(tab('Person:2').ids.get()).toEqual([]);
    expect(tab('Person:1').ids.get()).toEqual([]);
  });

  it('that changes hands in one tab shows nothing of the other', () => {
    const kept = tab('Person:1');
    kept.keep('a');
    kept.belongsTo('Person:2');
    expect(kept.ids.get()).toEqual([]);
    kept.belongsTo('Person:1');
    expect(kept.ids.get()).toEqual([]);
  });

  it('is not touched while nobody is known to be signed in', () => {
    tab().keep('a');
    const nobody = new Kept(KEY, () => localStorage, 3);
    nobody.keep('b');
    nobody.forgetAll();
    expect(nobody.ids.get()).toEqual([]);
    expect(stored()).toEqual({ person: 'Person:1', ids: ['a'] });
  });

  it('is bounded: the oldest goes, or the new one is not taken', () => {
    const kept = tab();
    for (const id of ['a', 'b', 'c', 'd', 'c']) kept.keep(id);
    expect(kept.ids.get()).toEqual(['b', 'c', 'd']);
    kept.keepIfRoom('e');
    expect(kept.ids.get()).toEqual(['b', 'c', 'd']);
    kept.forget('c');
    kept.keepIfRoom('e');
    expect(kept.ids.get()).toEqual(['b', 'd', 'e']);
  });

  it('is the same in two tabs, and neither undoes what the other wrote', () => {
    const [one, two] = [tab(), tab()];
    one.keep('a');
    two.keep('b');
    expect(two.ids.get()).toEqual(['a', 'b']);
    otherTabWrote();
    expect(one.ids.get()).toEqual(['a', 'b']);
    one.forget('a');
    otherTabWrote();
    expect(two.ids.get()).toEqual(['b']);
  });

  it('survives whatever stands in the storage', () => {
    const bad = ['', 'x', '[]', '["a"]', '{"person":"Person:1"}', '{"person":"Person:1","ids":"a"}', '{"person":"Person:1","ids":[1,null,"",{}]}', '7'];
    for (const text of bad) {
      localStorage.setItem(KEY, text);
      expect(tab().ids.get()).toEqual([]);
    }
    localStorage.setItem(KEY, JSON.stringify({ person: 'Person:1', ids: ['a', 'a', 'x'.repeat(1001), 'b', 'c', 'd'] }));
    expect(tab().ids.get()).toEqual(['b', 'c', 'd']);
  });

  it('lasts as long as the page where there is no storage', () => {
    const refusing = { getItem: () => null, setItem: () => { throw new DOMException('full', 'QuotaExceededError'); } };
    const kept = tab('Person:1', () => refusing as unknown as Storage);
    kept.keep('a');
    kept.keep('b');
    expect(kept.ids.get()).toEqual(['a', 'b']);
    const closed = tab('Person:1', () => { throw new DOMException('no', 'SecurityError'); });
    closed.keep('a');
    closed.keep('b');
    closed.forget('a');
    expect(closed.ids.get()).toEqual(['b']);
  });
});
