"""What the core keeps. One writer; every rule runs inside one transaction that either happens whole or not at all.

A module per concern holds its rows and what a transaction does with them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from facility_agent.ports.store.accounts import AccountRows, LinkRow
from facility_agent.ports.store.browsers import BrowserRows, DoorCodeRow, DoorRows, PassRow, SessionRow
from facility_agent.ports.store.egress import EgressRows
from facility_agent.ports.store.grants import CodeRow, GrantRow, GrantRows, SeenRow, UsedRows
from facility_agent.ports.store.orders import Asker, Memory, OrderCounts, OrderRow, OrderRows
from facility_agent.ports.store.places import EnteredRow, EnteredRows
from facility_agent.ports.store.restores import RestoreRow, RestoreRows
from facility_agent.ports.store.tokens import TokenRow, TokenRows
from facility_agent.ports.store.workspaces import WorkspaceRow, WorkspaceRows
from shared.errors import BackendUnavailable

__all__ = [
    "Asker", "CodeRow", "DoorCodeRow", "EnteredRow", "GrantRow", "LinkRow", "OrderCounts", "OrderRow", "PassRow", "RestoreRow", "SeenRow", "SessionRow", "Store", "TokenRow",
    "Transaction", "Unsure", "Vault", "WorkspaceRow", "is_unsure",
]  # fmt: skip

T = TypeVar("T")


class Transaction(
    AccountRows,
    GrantRows,
    UsedRows,
    BrowserRows,
    DoorRows,
    WorkspaceRows,
    OrderRows,
    Memory,
    RestoreRows,
    EnteredRows,
    EgressRows,
    TokenRows,
    Protocol,
):
    """Reads and writes of one transaction: a rule needs several tables at once."""


class Unsure(Exception):
    """The cause of a BackendUnavailable when the disk failed while it committed.

    Whether the work was done shows when the store can be read again.
    """


def is_unsure(error: BaseException) -> bool:
    """Whether an error of the store leaves open what was done."""
    return isinstance(error, BackendUnavailable) and isinstance(error.__cause__, Unsure)


class Store(Protocol):
    """The store of one facility."""

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in one transaction in the store's own thread; durable before it returns.

        An exception of `work` undoes what it did and nothing else. Raises BackendUnavailable, with nothing
        done, while the disk does not let it; with the cause Unsure when it cannot be said whether it was done.
        """
        ...


class Vault(Protocol):
    """Seals secrets under a key that lies outside the store and its backups."""

    def seal(self, label: str, secret: bytes) -> bytes:
        """A box that only this vault opens, and only under the same label."""
        ...

    def unseal(self, label: str, box: bytes) -> bytes:
        """What is in it. Raises BackendError when the key or the label is another."""
        ...
