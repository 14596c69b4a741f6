"""How long to wait before the next attempt."""

from __future__ import annotations

from collections.abc import Callable
from random import SystemRandom

_ENOUGH = 20  # doublings; beyond them the cap has long decided


class Backoff:
    """Full jitter: a random pause up to `first`·2ⁿ seconds, at most `cap`, n counting failures in a row.

    A session that lasted `stable_after` seconds makes the next failure the first one. Who is refused asks less
    often, at least every `refused_cap` seconds, and never gives up: operators mend things.
    """

    def __init__(
        self, first: float, cap: float, stable_after: float, uniform: Callable[[float, float], float] | None = None,
        refused_cap: float | None = None,
    ) -> None:  # fmt: skip
        self._first, self._cap, self._stable_after = first, cap, stable_after
        self._refused_cap = max(cap, refused_cap or cap)
        self._uniform = uniform or SystemRandom().uniform
        self._failures = 0

    def pause(self, lasted: float, asked: float | None = None, *, refused: bool = False) -> float:
        """Seconds to wait after a session that was open for `lasted` seconds.

        `asked` is the hub's own wish when it said goodbye; it is followed instead, within the cap.
        """
        if lasted >= self._stable_after:
            self._failures = 0
        cap = self._refused_cap if refused else self._cap
        most = min(cap, self._first * 2 ** min(self._failures, _ENOUGH))
        self._failures += 1
        if asked is not None:
            return min(asked, self._cap) + self._uniform(0.0, self._first)
        return self._uniform(0.0, most)
