"""What the portal needs of the links, and what the links need of the portal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from shared.commands import Answer, Parameters, Problem, Verb
from shared.facilities import FacilityDescription
from shared.workspaces import WorkspaceInventory, WorkspaceReport


@dataclass(frozen=True, slots=True)
class SealedBody:
    """A command's bytes as the MAC covers them, with the grant and the MAC (both empty without a grant)."""

    body: bytes
    grant_id: str = ""
    mac: bytes = b""


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


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """What the hub needs of an order that is not settled."""

    id: str
    facility: str
    state: OrderState
    sealed: SealedBody


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


class Overtaken(Exception):
    """A newer session of the facility exists: what this one wanted to write was not written."""


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """An agent's result of an order; `read` gives it, cleaned, once the verb is known from the row."""

    order_id: str
    read: Callable[[Verb], Answer]


@dataclass(frozen=True, slots=True)
class FacilityKey:
    """What the hub checks an agent's token against: the raw 32 bytes of an Ed25519 public key."""

    facility_id: str
    public_key: bytes


class Links(Protocol):
    """The way to the agents."""

    def online(self, facility_id: str) -> bool:
        """Whether a session of this facility's agent is open and alive."""
        ...

    async def ask(self, facility_id: str, verb: Verb, command: SealedBody, timeout_s: float) -> Answer:
        """The agent's answer.

        Raises FacilityUnavailable when no session is open or it ended before the answer,
        DeadlineExceeded after `timeout_s` (a late answer changes nothing), RateLimited when the
        agent's queue is full. A refusal by the facility is an Answer, not an error.
        """
        ...

    def deliver(self, facility_id: str) -> None:
        """A hint that orders of this facility were committed. Never blocks, never raises; losing it costs a second."""
        ...


class Topic(StrEnum):
    """What a hint is about; the key says which one."""

    ORDER = "order"
    SETTLED = "settled"
    FACILITY = "facility"
    WORKSPACE = "workspace"
    SESSION = "session"


class Wakes(Protocol):
    """Hints between the centre's processes that rows have changed. Any of them may get lost."""

    def tell(self, topic: Topic, key: str) -> None:
        """Hint. Never blocks, never raises."""
        ...

    def listen(self, topic: Topic, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call `callback(key)` for each hint from now on, in the loop's thread; returns the unsubscribe."""
        ...


class LinkEvents(Protocol):
    """What the hub reports upward. Wired by `composition`; every method is quick and raises nothing but what it says."""

    async def connected(
        self, facility_id: str, epoch: int, description: FacilityDescription, inventory: WorkspaceInventory
    ) -> None:
        """A session has opened; awaited before its Welcome is sent."""
        ...

    async def disconnected(self, facility_id: str, epoch: int) -> None:
        """The session of this epoch has ended."""
        ...

    async def described(self, facility_id: str, description: FacilityDescription) -> None:
        """The agent described its facility anew."""
        ...

    async def reported(self, facility_id: str, epoch: int, report: WorkspaceReport) -> None:
        """The agent reported on a workspace. The receiver checks that it is this facility's, and the epoch."""
        ...

    async def settled(self, facility_id: str, epoch: int, answers: Sequence[OrderAnswer]) -> Collection[str]:
        """Results of orders. Returns the ids that may be acknowledged: committed now or before, or unknown here.

        None of them when the database fails: the same results may be given again. Raises Overtaken when the
        session of `epoch` is not the facility's newest; then nothing was written.
        """
        ...


class OrderQueue(Protocol):
    """The orders that are not settled, as the hub delivers them."""

    async def open_of(self, facilities: Mapping[str, Collection[str]], limit: int) -> Sequence[OpenOrder]:
        """The oldest open orders of each facility without those named beside it, at most `limit` in all."""
        ...

    async def sent(self, ids: Collection[str]) -> None:
        """These are about to be written to an agent: durable before it returns."""
        ...

    async def accepted(self, ids: Collection[str]) -> None:
        """Agents have stored these."""
        ...


class Registry(Protocol):
    """What the hub must know of facilities before it lets one in."""

    async def key_of(self, facility_id: str) -> FacilityKey | None:
        """The key to check its token with; None for a facility that is not enrolled or is disabled."""
        ...

    async def next_epoch(self, facility_id: str) -> int:
        """A fencing number higher than every earlier one of this facility, durable before it is returned."""
        ...


class CommandWriter(Protocol):
    """Writes the bytes of a command's body."""

    def __call__(
        self, facility_id: str, command_id: str, verb: Verb, parameters: Parameters, expires_ms: int
    ) -> bytes:
        """The body as it will be authenticated and sent. `expires_ms` is of the agent's clock."""
        ...
