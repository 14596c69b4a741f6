import { screen, waitFor } from '@testing-library/react';
import { describe, expect, it } from 'vitest';
import { openAddress, parseAddress } from '../src/lib/address';
import { OpenPage } from '../src/open/OpenPage';
import { GraphQLError } from 'graphql';
import { Centre, facility, show } from './centre';

const found = { id: 'Dataset:alpha:20.500%2Fa', title: 'T', facility: facility('alpha') };
const refuse = (code: string, message: string) => () => {
  throw new GraphQLError(message, { extensions: { code, retryable: code === 'FACILITY_UNAVAILABLE' } });
};

function centreThat(findDataset: (variables: never) => unknown, signedIn = true) {
  const me = signedIn ? { id: 'P:1', name: 'Ada', provider: 'U', sessionExpiresAt: '2099-01-01T00:00:00Z', accountLinks: [] } : null;
  return new Centre({ findDataset, me: () => me });
}

describe('a link of a facility\'s own data portal', () => {
  it('leads to the page of the dataset', async () => {
    const asked: unknown[] = [];
    const centre = centreThat(((variables: unknown) => (asked.push(variables), found)) as never);
    const { router } = await show(<OpenPage />, centre, '/open?pid=20.500/a&facility=alpha', '/open');
    await waitFor(() => expect(router.state.location.pathname).toBe('/datasets/Dataset%3Aalpha%3A20.500%252Fa'));
    expect(asked).toMatchObject([{ pid: '20.500/a', doi: null, facility: 'Facility:alpha' }]);
  });

  it('leads to the filled-in form when it says so, and starts nothing', async () => {
    const centre = centreThat(() => found);
    const { router } = await show(<OpenPage />, centre, '/open?doi=10.5072/x&to=launch', '/open');
    await waitFor(() => expect(router.state.location.pathname).toBe('/launch'));
    expect(router.state.location.search).toMatchObject({ facility: 'alpha', dataset: found.id });
    expect(centre.asked.filter((name) => name !== 'FindDataset' && name !== 'Session')).toEqual([]);
  });

  it('to nothing that anybody shows says so in one sentence, with a way to sign in', async () => {
    const centre = centreThat(refuse('NOT_FOUND', 'No.'), false);
    await show(<OpenPage />, centre, '/open?pid=<b>x</b>', '/open');
    expect(await screen.findByText('No facility shows you a dataset with this identifier.')).toBeTruthy();
    expect(screen.getByText('<b>x</b>')).toBeTruthy();
    expect(await screen.findByText('If it is your own, sign in first.')).toBeTruthy();
    const signIn = (await screen.findByRole('link', { name: /UmbrellaID/ })).getAttribute('href');
    expect(new URLSearchParams(signIn?.split('?')[1]).get('return')).toBe('/open?pid=%3Cb%3Ex%3C/b%3E');
  });

  it('that names nothing asks nothing', async () => {
    const centre = centreThat(() => found);
    await show(<OpenPage />, centre, '/open', '/open');
    expect(await screen.findByText('No facility shows you a dataset with this identifier.')).toBeTruthy();
    expect(centre.asked).not.toContain('FindDataset');
  });

  it('that several facilities answer to says what it lacks', async () => {
    await show(<OpenPage />, centreThat(refuse('INVALID_REQUEST', 'Several facilities have it.')), '/open?pid=x', '/open');
    expect(await screen.findByText('Several facilities have it.')).toBeTruthy();
  });

  it('that could not be asked for can be tried again', async () => {
    await show(<OpenPage />, centreThat(refuse('FACILITY_UNAVAILABLE', 'Away.')), '/open?pid=x', '/open');
    expect(await screen.findByText('It could not be read whether a facility has this dataset.')).toBeTruthy();
  });
});

describe('its address', () => {
  const read = (query: string) => openAddress(parseAddress(query));

  it('is an identifier or a DOI, whole or not at all', () => {
    expect(read('?pid=a/b&doi=10.1/x')).toEqual({ pid: 'a/b' });
    expect(read('?doi=10.1/x')).toEqual({ doi: '10.1/x' });
    expect(read(`?pid=${'x'.repeat(201)}`)).toEqual({});
    expect(read('?pid=a&pid=b')).toEqual({});
    expect(read('?pid=a%0Ab')).toEqual({});
  });

  it('leads to two places and no others', () => {
    expect(read('?pid=a&to=launch')).toEqual({ pid: 'a', to: 'launch' });
    expect(read('?pid=a&to=https://evil.example')).toEqual({ pid: 'a' });
    expect(read('?pid=a&facility=../x')).toEqual({ pid: 'a' });
  });
});
