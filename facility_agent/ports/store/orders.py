"""Orders: accepted once, carried out once, their results kept until the centre has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.commands import Verb
from shared.identity import Subject


class Asker(Protocol):
    """In whose name something is asked: a subject, and the generation of the account link that allowed it."""

    @property
    def subject(self) -> Subject:
        """The person."""
        ...

    @property
    def generation(self) -> int:
        """The account link's generation at that time."""
        ...


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An accepted order. `order_hash` covers body, grant and MAC; `result` is empty until it is settled.

    Subject and generation are the grant's: the grant itself may be gone before the effect. The body is
    forgotten when the order is settled.
    """

    order_id: str
    grant_id: str
    order_hash: str
    verb: Verb
    subject: Subject
    generation: int
    body: bytes
    result: bytes
    accepted_at: float
    settled_at: float | None = None
    acknowledged_at: float | None = None


@dataclass(frozen=True, slots=True)
class OrderCounts:
    """How many orders wait, and since when the oldest of each (POSIX seconds, None without one)."""

    accepted: int
    oldest_accepted: float | None
    unacknowledged: int
    oldest_unacknowledged: float | None


class OrderRows(Protocol):
    """Orders."""

    def order(self, order_id: str) -> OrderRow | None:
        """One order."""
        ...

    def accept_order(self, row: OrderRow) -> None:
        """Store a new one."""
        ...

    def settle_order(self, order_id: str, result: bytes, at: float) -> None:
        """Store its result, final."""
        ...

    def open_orders(self) -> Sequence[OrderRow]:
        """Accepted ones without a result, oldest first."""
        ...

    def unacknowledged(self, after: tuple[float, str], most: int) -> Sequence[OrderRow]:
        """Settled ones that the centre has not acknowledged, by (settled_at, order_id) beyond `after`."""
        ...

    def acknowledge(self, order_ids: Sequence[str], at: float) -> None:
        """The centre has these results."""
        ...

    def order_counts(self) -> OrderCounts:
        """What waits."""
        ...


class Memory(Protocol):
    """What outlives everything else: the epoch's floor, and how long an order is remembered."""

    def floor(self) -> int:
        """The highest epoch in which this agent ever acted."""
        ...

    def raise_floor(self, epoch: int) -> None:
        """Act in no session below `epoch` any more."""
        ...

    def forget(self, before: float, most: int) -> int:
        """Delete at most `most` orders that were acknowledged before, and tombstones that old; how many."""
        ...
