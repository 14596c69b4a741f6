"""A token bucket that says how long to wait instead of refusing."""

from __future__ import annotations


class Bucket:
    """`burst` tokens, refilled at `rate` per second. Instants are monotonic seconds."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._at = burst, now

    def take(self, count: float, now: float) -> float:
        """Takes `count` tokens, also those that are not there yet; the seconds until they would be."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate) - count
        self._at = now
        return max(0.0, -self._tokens / self._rate)
