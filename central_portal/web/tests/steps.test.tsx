import { screen } from '@testing-library/react';
import { expect, it } from 'vitest';
import type { Step } from '../src/workspaces/queries';
import { Steps } from '../src/workspaces/Steps';
import { Centre, show } from './centre';

const step = (name: string, state: string, detail: string | null) => ({ name, state, detail, enteredAt: null }) as unknown as Step;

it('what the facility says of the data stays, as text; other details go with their step', async () => {
  const steps = [
    step('DATA', 'DONE', 'In the archive, and so not on disk: <b>3</b> of 12 datasets.'),
    step('QUEUE', 'DONE', 'third in the queue'),
    step('START', 'ACTIVE', 'on node 7'),
  ];
  await show(<Steps workspace={{ state: 'STARTING', steps }} />, new Centre({}));
  expect(screen.getByText('In the archive, and so not on disk: <b>3</b> of 12 datasets.')).toBeTruthy();
  expect(screen.getByText('on node 7')).toBeTruthy();
  expect(screen.queryByText('third in the queue')).toBeNull();
});

it.each([['TASK', 'Waiting until it runs'], ['NOTEBOOK', 'Waiting until it answers']] as const)('a %s that starts: %s', async (usedAs, words) => {
  await show(<Steps workspace={{ state: 'STARTING', environment: { usedAs }, steps: [step('READY', 'ACTIVE', null)] }} />, new Centre({}));
  expect(screen.getByText(words)).toBeTruthy();
});
