import type { MessageDescriptor } from '@lingui/core';
import type { Tone } from '../ui/Icon';

/** What mends an outcome or a problem, if a person can do anything. */
export type Mend = 'CONNECT' | 'LINK' | 'SIGN_IN' | 'ASK_AGAIN' | 'NONE';

/** A sentence with the tone it is said in and what to do about it. */
export interface Wording {
  tone: Tone;
  text: MessageDescriptor;
  mend: Mend;
}
