"""Orders as the link delivers and settles them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from central_portal.link.ports.commands import SealedBody
from shared.commands import Answer, Problem, Verb


class OrderState(StrEnum):
    """WAITING (never sent) → SENT (may have been sent) → ACCEPTED (in the agent's store) → SETTLED.

    Or EXPIRED and CANCELLED, which only what was never sent can become, or LOST with the agent's store.
    """

    WAITING = "WAITING"
    SENT = "SENT"
    ACCEPTED = "ACCEPTED"
    SETTLED = "SETTLED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    LOST = "LOST"


OPEN_STATES = (OrderState.WAITING.value, OrderState.SENT.value, OrderState.ACCEPTED.value)


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order about to be stored. Times are POSIX seconds of the centre's clock; `expires_at` None is never.

    `id` is the command's id in the body; `workspace` the one that it is about, empty for none.
    """

    id: str
    facility: str
    verb: Verb
    person: int
    workspace: str
    sealed: SealedBody
    created_at: float
    expires_at: float | None
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """What the hub needs of an order that is not settled."""

    id: str
    facility: str
    state: OrderState
    sealed: SealedBody
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class OrderStanding:
    """How an order stands. `outcome` and `problem` are set when it is settled."""

    id: str
    verb: Verb
    state: OrderState
    outcome: str = ""
    problem: Problem | None = None
    expires_at: float | None = None
    person: int = 0
    workspace: str = ""
    grant_id: str = ""


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """An agent's result of an order; `read` gives it, cleaned, once the verb is known from the row."""

    order_id: str
    read: Callable[[Verb], Answer]


class Overtaken(Exception):
    """A newer session of the facility exists: what this one wanted to write was not written."""


class OrderQueue(Protocol):
    """The orders that are not settled, as the hub delivers them."""

    async def open_of(self, facilities: Mapping[str, Collection[str]], limit: int) -> Sequence[OpenOrder]:
        """The oldest open orders of each facility without those named beside it, at most `limit` in all."""
        ...

    async def sent(self, ids: Collection[str]) -> Collection[str]:
        """These are about to be written to an agent: durable before it returns.

        Those that may be: what was called off or has expired meanwhile must not.
        """
        ...

    async def accepted(self, ids: Collection[str]) -> None:
        """Agents have stored these."""
        ...
