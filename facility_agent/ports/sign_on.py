"""How a person proves that a local account is theirs, on the gateway's own page."""

from __future__ import annotations

from abc import ABC, abstractmethod


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
