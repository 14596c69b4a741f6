"""Who may use the facility, and which proposals are theirs. Asked at each use, never remembered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Set

from facility_agent.ports.directory import Account


class AccessRules(ABC):
    """The facility's own word on access. Fails closed: an error is a refusal."""

    @abstractmethod
    async def may_use(self, account: Account) -> bool:
        """Whether this account may use the facility through Parasol at all."""

    @abstractmethod
    async def proposals(self, account: Account) -> Set[str]:
        """The proposals whose data this account may read, open ones not included.

        Raises BackendUnavailable when the source cannot be read.
        """
