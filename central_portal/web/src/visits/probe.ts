export const PROBE_MS = 2000;

/** Whether the browser can reach a facility's gateway at all; sends no cookie and reads nothing. */
export async function isReachable(gateway: string, signal: AbortSignal): Promise<boolean> {
  try {
    await fetch(`${gateway}/healthz`, {
      mode: 'no-cors',
      credentials: 'omit',
      cache: 'no-store',
      referrerPolicy: 'no-referrer',
      signal: AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS)]),
    });
    return true;
  } catch {
    return false;
  }
}

/** Where the centre begins a visit that returns to `back`. */
export function visitStart(slug: string, back: string): string {
  return `/connect/${encodeURIComponent(slug)}/start?${new URLSearchParams({ scope: 'read run', return: back })}`;
}
