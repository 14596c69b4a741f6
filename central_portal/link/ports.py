"""What the portal needs of the links, and what the links need of the portal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from shared.commands import Answer, Parameters, Verb
from shared.facilities import FacilityDescription
from shared.workspaces import WorkspaceInventory, WorkspaceReport


@dataclass(frozen=True, slots=True)
class SealedBody:
    """A command's bytes as the MAC covers them, with the grant and the MAC (both empty without a grant)."""

    body: bytes
    grant_id: str = ""
    mac: bytes = b""


@dataclass(frozen=True, slots=True)
class FacilityKey:
    """What the hub checks an agent's token against: the raw 32 bytes of an Ed25519 public key."""

    facility_id: str
    public_key: bytes


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a stream comes from, and what proved it: a certificate's serial number, or the key of a signed token."""

    facility_id: str
    serial: str = ""
    key: bytes = b""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate for an agent and the authorities to trust for the hub; all DER."""

    certificate: bytes
    authorities: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """What the hub shows in a TLS handshake (PEM), and when it should ask for another (POSIX seconds)."""

    key: bytes
    chain: bytes
    renew_at: float


class EnrolmentRefused(Exception):
    """An agent is not let in or gets no certificate: a stable code, and one sentence that its operator may read."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason, self.sentence = reason, sentence


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


class LinkEvents(Protocol):
    """What the hub reports upward. Wired by `composition`; every method is quick and never raises."""

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

    async def reported(self, facility_id: str, report: WorkspaceReport) -> None:
        """The agent reported on a workspace. The receiver checks that it is this facility's."""
        ...


class Registry(Protocol):
    """What the hub must know of facilities before it lets one in."""

    async def key_of(self, facility_id: str) -> FacilityKey | None:
        """The key to check its token with; None for a facility that is not enrolled or is disabled."""
        ...

    async def next_epoch(self, facility_id: str) -> int:
        """A fencing number higher than every earlier one of this facility, durable before it is returned."""
        ...


class Enrolments(Protocol):
    """The centre's certificate authority. Every method may raise EnrolmentRefused, having changed nothing."""

    async def enrol(self, secret: bytes, statement: bytes, signature: bytes) -> Issued:
        """A first certificate for a token's secret; the same again for the same token and key."""
        ...

    async def renew(self, certificate: bytes, request: bytes) -> Issued:
        """The next certificate for the holder of this one (PEM)."""
        ...

    async def recover(self, statement: bytes, signature: bytes) -> Issued:
        """A certificate for an agent whose last one expired."""
        ...

    async def admit(self, certificate: bytes) -> Caller:
        """Whose session may begin with this certificate (PEM); from now on it replaces all earlier ones."""
        ...

    async def fallen(self, callers: Iterable[Caller]) -> dict[Caller, str]:
        """Those of `callers` that were admitted but must be cut off now, each with the reason as one sentence."""
        ...


class HubAuthority(Protocol):
    """Where the hub's TLS certificate comes from when none is configured. Called from gRPC's threads."""

    def trust(self) -> bytes:
        """The authorities whose agents may connect, PEM."""
        ...

    def server_identity(self, host: str) -> ServerIdentity:
        """A fresh key and certificate for a hub that agents dial as `host`."""
        ...


class CommandWriter(Protocol):
    """Writes the bytes of a command's body."""

    def __call__(
        self, facility_id: str, command_id: str, verb: Verb, parameters: Parameters, expires_ms: int
    ) -> bytes:
        """The body as it will be authenticated and sent. `expires_ms` is of the agent's clock."""
        ...
