"""How a person proves that a local account is theirs, on the gateway's own page."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

from shared.errors import RateLimited

FAILURES, WINDOW_S = 10, 300.0
_REMEMBERED = 10_000


class PasswordSignOn(ABC):
    """A username and a password, checked by the facility's own means.

    Guarantees: the time taken does not tell whether the username exists; a password is never
    logged, stored or kept; at most a bounded number of checks run at once.
    """

    @abstractmethod
    async def check(self, username: str, password: str) -> str:
        """The canonical username when the pair is right.

        Raises AccessDenied when it is not (the same sentence for an unknown username),
        RateLimited after too many failures, BackendUnavailable when the source cannot be read.
        """


class Attempts:
    """At most ten wrong passwords for one username within five minutes, also when they come all at once."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: dict[str, deque[float]] = {}

    def begin(self, username: str) -> None:
        """Count an attempt as wrong until it has `succeeded`. Raises RateLimited when there were too many."""
        now, name = self._clock(), username[:64]
        lately = self._since.get(name, deque())
        while lately and lately[0] <= now - WINDOW_S:
            lately.popleft()
        if len(lately) >= FAILURES:
            raise RateLimited("Too many attempts for this username; wait five minutes.")
        lately.append(now)
        self._since[name] = lately
        if len(self._since) > _REMEMBERED:
            self._since = {n: at for n, at in self._since.items() if at[-1] > now - WINDOW_S}

    def succeeded(self, username: str) -> None:
        """The password was right: forget what was counted."""
        self._since.pop(username[:64], None)
