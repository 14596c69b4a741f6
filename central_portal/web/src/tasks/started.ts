import { Kept } from '../lib/kept';

/** Tasks (workspaces) that a person started in this browser, or looked at while they lived, and has not been told of yet. */
export const tasks = new Kept('parasol.tasks', () => localStorage, 20);
