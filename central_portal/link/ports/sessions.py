"""Sessions of agents: who may open one, whose it is, and what it reports."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from central_portal.link.ports.commands import HubPlace
from central_portal.link.ports.orders import OrderAnswer
from shared.facilities import FacilityDescription
from shared.restores import DatasetReport
from shared.workspaces import WorkspaceInventory, WorkspaceReport


@dataclass(frozen=True, slots=True)
class FacilityKey:
    """What the hub checks an agent's token against: the raw 32 bytes of an Ed25519 public key."""

    facility_id: str
    public_key: bytes


@dataclass(frozen=True, slots=True)
class HelloFacts:
    """What an agent says of itself when it opens a session; see `Hello` in the contract.

    `description` is its facility's, read and written again, so that it holds what we know and nothing else.
    """

    session_id: str
    instance_id: str
    boot_counter: int
    store_id: str
    software: str = ""
    certificate_s: int = 0
    previous_ending: str = ""
    description: bytes = b""


@dataclass(frozen=True, slots=True)
class Beat:
    """A session that its hub still holds, with its heartbeats' round trip in seconds."""

    epoch: int
    rtt: float | None = None


@dataclass(frozen=True, slots=True)
class EgressHead:
    """What an agent said of its egress log: how many records it holds, and the last one's hash in hex; 0 for no head."""

    sequence: int = 0
    hash: str = ""

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"


@dataclass(frozen=True, slots=True)
class HeadNews:
    """What to keep of a log: its head as it was said last, and what contradicted an earlier one, empty for nothing.

    `since` is the kept head that the agent has shown its log to hold still; None when it has not. Nothing but a head
    since the kept one takes its place.
    """

    head: EgressHead
    complaint: str = ""
    since: EgressHead | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """The centre's word on a session. `quarantined` says why it is refused, empty for admitted.

    `head` is what is kept of the facility's egress log.
    """

    epoch: int
    reconcile: bool = False
    quarantined: str = ""
    head: EgressHead = EgressHead()


class Registry(Protocol):
    """What the hub must know of facilities before it lets one in."""

    async def key_of(self, facility_id: str) -> FacilityKey | None:
        """The key to check its token with; None for a facility that is not enrolled or is disabled."""
        ...

    async def admit(self, facility_id: str, hello: HelloFacts, hub: HubPlace) -> Admission:
        """Make this the facility's session and keep its description, in one transaction, committed before it returns.

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

    async def keep_heads(self, news: Mapping[str, HeadNews]) -> Mapping[str, HeadNews]:
        """Keep each head that follows the kept one, and the first contradiction; what is kept of each then."""
        ...


class LinkEvents(Protocol):
    """What the hub reports upward. Wired by `composition`; every method raises nothing but what it says.

    Those that give a bool say whether the hub is done with it; False when the database is away for now: then the
    same may be said again.
    """

    async def connected(self, facility_id: str, epoch: int, inventory: WorkspaceInventory) -> bool:
        """A session has opened; awaited before its Welcome is sent."""
        ...

    async def disconnected(self, facility_id: str, epoch: int) -> None:
        """The session of this epoch has ended."""
        ...

    async def described(self, facility_id: str, epoch: int, description: FacilityDescription) -> bool:
        """The agent described its facility anew. The receiver checks the epoch."""
        ...

    async def reported(self, facility_id: str, epoch: int, report: WorkspaceReport) -> bool:
        """The agent reported on a workspace. The receiver checks that it is this facility's, and the epoch."""
        ...

    async def dataset_reported(self, facility_id: str, epoch: int, report: DatasetReport) -> bool:
        """The agent said where a dataset's data are that somebody had restored."""
        ...

    async def settled(self, facility_id: str, epoch: int, answers: Sequence[OrderAnswer]) -> Collection[str]:
        """Results of orders. Returns the ids that may be acknowledged: committed now or before, or unknown here.

        None of them when the database fails: the same results may be given again. Raises Overtaken when the
        session of `epoch` is not the facility's newest; then nothing was written.
        """
        ...
