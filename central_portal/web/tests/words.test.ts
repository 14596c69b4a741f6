import { readFileSync } from 'node:fs';
import type { MessageDescriptor } from '@lingui/core';
import { buildSchema, isEnumType } from 'graphql';
import { CombinedError } from 'urql';
import { describe, expect, it } from 'vitest';
import { i18n } from '../src/i18n';
import { COMPLETENESS, OUTCOMES, partOfCopy, PROPOSAL_OUTCOMES, VISITS } from '../src/words/outcomes';
import { PROBLEMS, problemOf, REASONS, SIGN_IN_FAILURES, wordingOf } from '../src/words/problems';
import {
  ARCHIVE_STATES, CARRIED_BY, FACILITY_STATES, LINK_STATES, SCOPES, STEP_STATES, STEPS, USED_AS, WORKSPACE_STATES,
} from '../src/words/states';

const read = (path: string) => readFileSync(new URL(path, `file://${process.cwd()}/`), 'utf8');
const schema = buildSchema(read('../api/schema.graphql'));

function valuesOf(name: string): string[] {
  const type = schema.getType(name);
  if (!isEnumType(type)) throw new Error(`${name} is no enum of the schema`);
  return type.getValues().map((value) => value.name).sort();
}

/** The rules that a sentence to a person keeps. */
function expectSentence(descriptor: MessageDescriptor, name?: string) {
  const sentence = i18n._(descriptor);
  expect(sentence).toMatch(/^[A-Z].*[.]$/s);
  for (const one of sentence.split(/[.;:] /)) expect(one.split(/\s+/).length).toBeLessThanOrEqual(25);
  expect(sentence).not.toMatch(/oops|please|success|error|undefined|null|\{|\}|_/i);
  if (name) expect(sentence).toContain(name);
}

describe('every value of the schema has its words', () => {
  it.each<[string, object]>([
    ['Outcome', OUTCOMES], ['Outcome', PROPOSAL_OUTCOMES], ['Outcome', VISITS], ['Outcome', COMPLETENESS], ['FacilityState', FACILITY_STATES], ['LinkState', LINK_STATES],
    ['WorkspaceState', WORKSPACE_STATES], ['StepName', STEPS], ['StepState', STEP_STATES], ['UsedAs', USED_AS], ['CarriedBy', CARRIED_BY],
    ['Scope', SCOPES], ['ArchiveState', ARCHIVE_STATES],
  ])('%s', (name, words) => {
    expect(Object.keys(words).sort()).toEqual(valuesOf(name));
  });
});

describe('outcomes', () => {
  it.each(Object.entries(OUTCOMES))('%s is a sentence that names the facility', (_outcome, write) => {
    expectSentence(write('Alpha Light Source', 3).text, 'Alpha Light Source');
  });

  it.each(Object.entries(PROPOSAL_OUTCOMES))('%s of a list of proposals is a sentence that names the facility', (_outcome, write) => {
    expectSentence(write('Alpha Light Source', 3).text, 'Alpha Light Source');
  });

  it('of the portal’s copy are sentences', () => {
    expectSentence(partOfCopy('Alpha Light Source', 3).text, 'Alpha Light Source');
  });

  it.each(Object.entries(VISITS))('%s of a visit is a sentence that names the facility', (_outcome, write) => {
    expectSentence(write('Alpha Light Source').text, 'Alpha Light Source');
  });

  it('that miss data say so and offer what mends it', () => {
    expect(OUTCOMES.NOT_LINKED('A', 0).mend).toBe('LINK');
    expect(OUTCOMES.SIGN_IN_NEEDED('A', 0).mend).toBe('CONNECT');
    for (const outcome of ['OFFLINE', 'TIMED_OUT', 'FAILED'] as const) {
      expect(i18n._(OUTCOMES[outcome]('A', 0).text)).toContain('missing');
      expect(OUTCOMES[outcome]('A', 0).mend).toBe('ASK_AGAIN');
      expect(i18n._(PROPOSAL_OUTCOMES[outcome]('A', 0).text)).toContain('your proposals there are missing');
    }
  });
});

describe('problems', () => {
  it('cover every reason of the federation', () => {
    const reasons = [...read('../../shared/errors.py').matchAll(/\breason(?:: ClassVar\[str\])? = "([A-Z_]+)"/g)].map((match) => match[1]);
    expect(reasons.length).toBeGreaterThan(15);
    expect([...REASONS].sort()).toEqual(reasons.sort());
  });

  it.each(Object.entries(PROBLEMS))('%s is a sentence', (_reason, write) => {
    expectSentence(write('Alpha Light Source').text);
  });

  it('of an unknown code have no wording of ours', () => {
    expect(wordingOf({ code: 'SOMETHING_NEW', message: 'New.', retryable: false }, 'A')).toBeNull();
    expect(wordingOf({ code: 'toString', message: 'New.', retryable: false }, 'A')).toBeNull();
  });

  it('are read from a failed operation, and are null when nothing answered', () => {
    const answered = new CombinedError({
      graphQLErrors: [{ message: 'Sign in first.', extensions: { code: 'UNAUTHENTICATED', retryable: false } }],
    });
    expect(problemOf(answered)).toEqual({ code: 'UNAUTHENTICATED', message: 'Sign in first.', retryable: false });
    expect(problemOf(new CombinedError({ graphQLErrors: [{ message: 'x' }] }))?.code).toBe('INTERNAL');
    expect(problemOf(new CombinedError({ networkError: new Error('gone') }))).toBeNull();
    expect(problemOf(undefined)).toBeNull();
  });
});

describe('failures of a sign-in', () => {
  it('cover every reason that the centre gives', () => {
    const given = [...read('../identity/views.py').matchAll(/"([A-Z_]+)"/g)].map((match) => match[1]).filter((code) => code !== 'CONFLICT');
    const reasons = new Set(given.filter((code) => /PROVIDER|ATTEMPT|DENIED|MEANWHILE/.test(code ?? '')));
    expect(Object.keys(SIGN_IN_FAILURES).sort()).toEqual([...reasons].sort());
  });

  it.each(Object.entries(SIGN_IN_FAILURES))('%s is a sentence', (_reason, descriptor) => {
    expectSentence(descriptor);
  });
});
