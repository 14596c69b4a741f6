import { describe, expect, it } from 'vitest';
import { connectPath, outboundLink, ownPath, signInPath } from '../src/lib/paths';
import { visitIn, withoutVisit } from '../src/visits/outcome';
import { visitStart } from '../src/visits/probe';

describe('ownPath', () => {
  it.each(['/', '/search?q=a&facility=b', '/launch?title=x%20y', '/a/b#c'])('keeps %s', (path) => {
    expect(ownPath(path)).toBe(path);
  });

  it.each([
    '//evil.example', '/\\evil.example', '\\\\evil', 'https://evil.example', 'javascript:alert(1)', '', 'search', '/a\nb', '/\tx', '/ x',
    `/${'x'.repeat(2000)}`, null, undefined, 5, ['/a'],
  ])('refuses %j', (path) => {
    expect(ownPath(path)).toBe('/');
  });
});

describe('outboundLink', () => {
  it('follows https, and http only among loopback names', () => {
    expect(outboundLink('https://alpha.example/data', 'portal.example')).toBe('https://alpha.example/data');
    expect(outboundLink('http://alpha.localhost:8000/', 'portal.localhost')).toBe('http://alpha.localhost:8000/');
    expect(outboundLink('http://alpha.localhost:8000/', 'portal.example')).toBeNull();
    expect(outboundLink('http://alpha.example/', 'portal.localhost')).toBeNull();
  });

  it.each([
    'javascript:alert(1)', ' javascript:alert(1)', 'data:text/html,x', 'ftp://a.example', '/relative', 'https://user@a.example', '', null, 'x',
  ])('does not follow %j', (address) => {
    expect(outboundLink(address, 'portal.localhost')).toBeNull();
  });
});

describe('paths of a visit', () => {
  it('ask for both scopes and return to an own path', () => {
    expect(connectPath('alpha', '/search?q=a')).toBe('/connect/alpha?scope=read+run&return=%2Fsearch%3Fq%3Da');
    expect(connectPath('alpha', '//evil.example')).toBe('/connect/alpha?scope=read+run&return=%2F');
    expect(visitStart('alpha', '/x')).toBe('/connect/alpha/start?scope=read+run&return=%2Fx');
  });

  it('begin a sign-in on the portal only', () => {
    expect(signInPath('/signin/umbrella', '/search?q=a')).toBe('/signin/umbrella?return=%2Fsearch%3Fq%3Da');
    expect(signInPath('https://evil.example/signin', '/')).toBe('/');
  });

  it('end with an outcome that is told once', () => {
    const parameters = { q: 'silk', connect: 'alpha', outcome: 'NOT_LINKED' };
    expect(visitIn(parameters)).toEqual({ slug: 'alpha', outcome: 'NOT_LINKED' });
    expect(withoutVisit(parameters)).toEqual({ q: 'silk' });
    expect(visitIn(withoutVisit(parameters))).toBeNull();
  });

  it.each([
    { connect: 'alpha' }, { outcome: 'OK' }, { connect: 'alpha', outcome: 'toString' }, { connect: '<b>', outcome: 'OK' },
    { connect: ['a', 'b'], outcome: 'OK' }, { connect: 'alpha', outcome: ['OK'] },
  ])('ignore an outcome that is not one: %j', (parameters) => {
    expect(visitIn(parameters)).toBeNull();
  });
});
