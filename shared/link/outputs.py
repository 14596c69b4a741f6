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
class Greeted:
    """To the hub: the agent said Hello in a version that both speak. Answer with `CentreEnd.welcome`."""

    hello: pb.Hello
    version: int


@dataclass(frozen=True, slots=True)
class Opened:
    """To the agent: the hub let it in."""

    epoch: int
    session_id: str
    version: int


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
    """The peer is about to close."""

    deadline_s: float


@dataclass(frozen=True, slots=True)
class Closed:
    """The session has ended; nothing follows. `reconnect_after` is the peer's wish in seconds, if any."""

    ending: Ending
    message: str
    reconnect_after: float | None = None


Output = Greeted | Opened | CommandArrived | Settled | Reported | PeerDrains | Closed
