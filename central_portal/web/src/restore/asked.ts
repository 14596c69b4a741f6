import { Kept } from '../lib/kept';

/** Datasets that this tab's person had restored and has not been told of yet. */
export const restores = new Kept('parasol.restores', () => sessionStorage, 10);
