import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Connection } from '../src/api/connection';
import { isRenewalDue } from '../src/api/session';
import { forwardOver, retryDelay } from '../src/api/socket';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('the live connection', () => {
  it('is called lost only after three seconds without a socket', () => {
    const connection = new Connection();
    connection.connecting();
    connection.connected();
    connection.closed(false);
    vi.advanceTimersByTime(2999);
    expect(connection.state.value).toBe('live');
    vi.advanceTimersByTime(1);
    expect(connection.state.value).toBe('lost');
  });

  it('is not missed when nobody subscribes any more', () => {
    const connection = new Connection();
    connection.connecting();
    connection.connected();
    connection.closed(true);
    vi.advanceTimersByTime(60_000);
    expect(connection.state.value).toBe('idle');
  });

  it('asks everything again once it is back, and only then', () => {
    const connection = new Connection();
    const again = vi.fn();
    connection.onResync(again);
    connection.connecting();
    connection.connected();
    expect(again).not.toHaveBeenCalled();
    connection.closed(false);
    connection.connecting();
    connection.connected();
    expect(again).toHaveBeenCalledTimes(1);
    expect(connection.state.value).toBe('live');
    vi.advanceTimersByTime(60_000);
    expect(connection.state.value).toBe('live');
  });

  it('is lost when it never comes', () => {
    const connection = new Connection();
    connection.connecting();
    vi.advanceTimersByTime(3000);
    expect(connection.state.value).toBe('lost');
  });
});

describe('a subscription', () => {
  /** A socket whose every subscription fails with a close code; counts them. */
  function closingSocket(code: number) {
    const begun = { times: 0 };
    const subscribe = (_request: unknown, sink: { error(error: unknown): void }) => {
      begun.times += 1;
      queueMicrotask(() => sink.error({ code }));
      return () => undefined;
    };
    return { begun, socket: { subscribe } as never };
  }
  const sink = () => ({ next: vi.fn(), error: vi.fn(), complete: vi.fn() });

  it('starts anew when the session changed, a few times, and has everything read again', async () => {
    const connection = new Connection();
    const again = vi.fn();
    connection.onResync(again);
    const { begun, socket } = closingSocket(4401);
    const end = sink();
    forwardOver(socket, connection)({ query: 'subscription { x }' } as never, {} as never).subscribe(end as never);
    await vi.advanceTimersByTimeAsync(300_000);
    expect(begun.times).toBe(6);
    expect(again).toHaveBeenCalledTimes(5);
    expect(end.error).toHaveBeenCalledTimes(1);
  });

  it('is tried at growing distances when the server failed', async () => {
    const { begun, socket } = closingSocket(1011);
    const end = sink();
    forwardOver(socket, new Connection())({ query: 'subscription { x }' } as never, {} as never).subscribe(end as never);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(begun.times).toBeGreaterThan(20);
    expect(begun.times).toBeLessThan(60);
    expect(end.error).not.toHaveBeenCalled();
  });

  it('fails at once when the client itself asked wrongly', async () => {
    const { begun, socket } = closingSocket(4400);
    const end = sink();
    forwardOver(socket, new Connection())({ query: 'subscription { x }' } as never, {} as never).subscribe(end as never);
    await vi.advanceTimersByTimeAsync(300_000);
    expect(begun.times).toBe(1);
    expect(end.error).toHaveBeenCalledTimes(1);
  });

  it('does not start anew once nobody wants it', async () => {
    const { begun, socket } = closingSocket(4401);
    const running = forwardOver(socket, new Connection())({ query: 'subscription { x }' } as never, {} as never).subscribe(sink() as never);
    await vi.advanceTimersByTimeAsync(0);
    running.unsubscribe();
    await vi.advanceTimersByTimeAsync(300_000);
    expect(begun.times).toBe(1);
  });
});

describe('waiting before another attempt', () => {
  it('doubles, is bounded, and spreads', () => {
    expect(retryDelay(0, () => 1)).toBe(500);
    expect(retryDelay(1, () => 1)).toBe(1000);
    expect(retryDelay(1, () => 0)).toBe(500);
    for (let failures = 0; failures < 2000; failures += 1) expect(retryDelay(failures)).toBeLessThanOrEqual(30_000);
  });
});

describe('the renewal of a session', () => {
  it('is due every half hour, and when the clock was set back', () => {
    expect(isRenewalDue(0, 30 * 60_000)).toBe(true);
    expect(isRenewalDue(1000, 1000 + 29 * 60_000)).toBe(false);
    expect(isRenewalDue(5000, 1000)).toBe(true);
  });
});
