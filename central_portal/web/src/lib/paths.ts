const OWN = 'https://own.invalid';

/** `path` when it is an absolute path of the portal itself, else `/`. Mirrors what the centre accepts. */
export function ownPath(path: unknown): string {
  if (typeof path !== 'string' || path.length > 2000 || !/^\/(?!\/)/.test(path)) return '/';
  if (/[\\\u0000-\u0020\u007f]/.test(path)) return '/';
  return new URL(path, OWN).origin === OWN ? path : '/';
}

const isLoopback = (hostname: string) => hostname === 'localhost' || hostname.endsWith('.localhost');

/**
 * A link that another party named, when it is fit to be followed: https, or http between loopback
 * names. Everything else (javascript:, data:, user names in addresses) is null and shown as text.
 */
export function outboundLink(address: string | null | undefined, portal: string = location.hostname): string | null {
  if (!address || !URL.canParse(address)) return null;
  const url = new URL(address);
  if (url.username || url.password) return null;
  if (url.protocol === 'https:') return url.href;
  return url.protocol === 'http:' && isLoopback(url.hostname) && isLoopback(portal) ? url.href : null;
}

/** The portal page that links an account or renews a grant at a facility, then returns to `back`. */
export function connectPath(slug: string, back: string): string {
  return `/connect/${encodeURIComponent(slug)}?${new URLSearchParams({ scope: 'read run', return: ownPath(back) })}`;
}

/** Where a provider's sign-in begins, returning to `back`. */
export function signInPath(providerUrl: string, back: string): string {
  const url = new URL(providerUrl, location.href);
  url.searchParams.set('return', ownPath(back));
  return url.origin === location.origin ? url.pathname + url.search : '/';
}
