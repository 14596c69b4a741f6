"""How agents come to be known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


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
