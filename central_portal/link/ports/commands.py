"""What a command is to the link, and where the agents are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from shared.commands import Parameters, Verb


@dataclass(frozen=True, slots=True)
class SealedBody:
    """A command's bytes as the MAC covers them, with the grant and the MAC (both empty without a grant)."""

    body: bytes
    grant_id: str = ""
    mac: bytes = b""


class CommandWriter(Protocol):
    """Writes the bytes of a command's body."""

    def __call__(
        self, facility_id: str, command_id: str, verb: Verb, parameters: Parameters, expires_ms: int
    ) -> bytes:
        """The body as it will be authenticated and sent. `expires_ms` is of the agent's clock."""
        ...


@dataclass(frozen=True, slots=True)
class HubPlace:
    """A hub process: an id that no other process ever has, and `host:port` where web processes reach it."""

    id: str
    address: str


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
