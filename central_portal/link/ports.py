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


@dataclass(frozen=True, slots=True)
class HelloFacts:
    """What an agent says of itself when it opens a session; see `Hello` in the contract."""

    session_id: str
    instance_id: str
    boot_counter: int
    store_id: str
    software: str = ""
    certificate_s: int = 0
    previous_ending: str = ""


@dataclass(frozen=True, slots=True)
class HubPlace:
    """A hub process: an id that no other process ever has, and `host:port` where web processes reach it."""

    id: str
    address: str


@dataclass(frozen=True, slots=True)
class Admission:
    """The centre's word on a session. `quarantined` says why it is refused, empty for admitted."""

    epoch: int
    reconcile: bool = False
    quarantined: str = ""


@dataclass(frozen=True, slots=True)
class Beat:
    """A session that its hub still holds, with its heartbeats' round trip in seconds."""

    epoch: int
    rtt: float | None = None


class Topic(StrEnum):
    """What rows changed; each with the key that is told."""

    ORDER = "order"
    """A facility's orders; the facility's id."""
    SETTLED = "settled"
    """An order; its id."""
    FACILITY = "facility"
    """A facility or its session; its id."""
    WORKSPACE = "workspace"
    """A workspace; `person_id/workspace_id`."""
    SESSION = "session"
    """A portal session; its cookie's hash."""


class Wakes(Protocol):
    """Hints between the centre's processes that rows changed. Any may be lost: whoever needs one also looks by itself."""

    async def start(self) -> None:
        """Begin to hear the other processes."""
        ...

    async def stop(self) -> None:
        """Hear and tell nothing any more."""
        ...

    def tell(self, topic: Topic, key: str) -> None:
        """Tell every listener of every process, after the rows are committed. In the event loop; never blocks or raises."""
        ...

    def listen(self, topic: Topic, callback: Callable[[str | None], None]) -> Callable[[], None]:
        """Call `callback(key)` for each; None says that some may have been missed. Returns the unsubscribe."""
        ...


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


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a facility's session is, None for nowhere. `moving`: its hub let it go, and it will open the next one."""

    hub: HubPlace | None
    moving: bool = False


class Places(Protocol):
    """Where the facilities' sessions are, for a process that holds none."""

    def place(self, facility_id: str) -> Whereabouts:
        """As it was known a moment ago."""
        ...

    async def look(self, facility_id: str) -> Whereabouts:
        """As the rows say now."""
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

    async def admit(self, facility_id: str, hello: HelloFacts, hub: HubPlace) -> Admission:
        """Make this the facility's session, in one transaction, committed before it is returned.

        The epoch is higher than every earlier one. A quarantined facility gets no session, and every
        earlier one is over.
        """
        ...

    async def renew(self, hub_id: str, sessions: Mapping[str, Beat]) -> frozenset[str]:
        """Say that these sessions are alive; the facilities whose session they still are."""
        ...

    async def close(self, facility_id: str, epoch: int, ending: str) -> None:
        """The session of this epoch has ended; a newer one is left alone."""
        ...


class CommandWriter(Protocol):
    """Writes the bytes of a command's body."""

    def __call__(
        self, facility_id: str, command_id: str, verb: Verb, parameters: Parameters, expires_ms: int
    ) -> bytes:
        """The body as it will be authenticated and sent. `expires_ms` is of the agent's clock."""
        ...
