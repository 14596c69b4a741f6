"""What an end of a link tells its owner. Requests go in by method calls, these come out as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from shared.errors import ParasolError
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb


class Ending(StrEnum):
    """Why a session ended."""

    LOST = "LOST"
    SILENT = "SILENT"
    STALLED = "STALLED"
    HELLO_DEADLINE = "HELLO_DEADLINE"
    VERSION = "VERSION"
    PROTOCOL = "PROTOCOL"
    FLOODED = "FLOODED"
    STALE_EPOCH = "STALE_EPOCH"
    REFUSED = "REFUSED"
    SUPERSEDED = "SUPERSEDED"
    QUARANTINED = "QUARANTINED"
    DRAINED = "DRAINED"
    STOPPED = "STOPPED"


@dataclass(frozen=True, slots=True)
class LogWord:
    """What an agent's heartbeat says of its egress log: the last record, and the one that was asked for as the log holds it.

    Hashes are raw SHA-256. Sequence 0 says nothing; of a record that the log does not hold the hash is empty.
    """

    sequence: int = 0
    hash: bytes = b""
    asked: int = 0
    asked_hash: bytes = b""


@dataclass(frozen=True, slots=True)
class Greeted:
    """To the hub: the agent said Hello in a version that both speak. Answer with `CentreEnd.welcome`."""

    hello: pb.Hello
    version: int


@dataclass(frozen=True, slots=True)
class Opened:
    """To the agent: the hub let it in. With `reconcile` the centre knows another store of this agent."""

    epoch: int
    session_id: str
    version: int
    reconcile: bool = False


@dataclass(frozen=True, slots=True)
class CommandArrived:
    """To the agent: something to do. Answer with `AgentEnd.answer`, once, within `timeout_s`."""

    ticket: int
    body: bytes
    grant_id: str
    mac: bytes
    timeout_s: float
    traceparent: str


@dataclass(frozen=True, slots=True)
class OrderArrived:
    """To the agent: something to do exactly once. Answer with `AgentEnd.accept` or `settle`.

    It may have come before, in this session or an earlier one.
    """

    order_id: str
    body: bytes
    grant_id: str
    mac: bytes
    traceparent: str


@dataclass(frozen=True, slots=True)
class OrderAcknowledged:
    """To the agent: the centre has committed the result of this order."""

    order_id: str


@dataclass(frozen=True, slots=True)
class OrderAccepted:
    """To the hub: the agent has stored this order."""

    order_id: str


@dataclass(frozen=True, slots=True)
class OrderSettled:
    """To the hub: what became of an order, of this session or any earlier one.

    Commit it, then call `CentreEnd.acknowledge`.
    """

    order_id: str
    result: pb.OrderResult


@dataclass(frozen=True, slots=True)
class Settled:
    """To the hub: what became of one ask; exactly one for each ticket."""

    ticket: int
    result: pb.Result | ParasolError


@dataclass(frozen=True, slots=True)
class Reported:
    """To the hub: a fact that nobody asked for, not yet decoded."""

    event: pb.Event


@dataclass(frozen=True, slots=True)
class PeerDrains:
    """The peer will close within `deadline_s`; a next session is welcome elsewhere after `reconnect_after_s`."""

    deadline_s: float
    reconnect_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Closed:
    """The session has ended; nothing follows. `reconnect_after` is the peer's wish in seconds, if any.

    `told` is the reason that the peer gave, when it was the peer who ended it.
    """

    ending: Ending
    message: str
    reconnect_after: float | None = None
    told: str = ""


Output = (
    Greeted
    | Opened
    | CommandArrived
    | OrderArrived
    | OrderAcknowledged
    | OrderAccepted
    | OrderSettled
    | Settled
    | Reported
    | PeerDrains
    | Closed
)
