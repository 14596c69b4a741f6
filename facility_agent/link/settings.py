"""What the link needs to know, and what it refuses before it connects."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from shared.facilities import is_facility_id
from shared.limits import LIMITS
from shared.link.terms import DEFAULT, Terms
from shared.wire.addresses import Address, parse_hub


class LinkMisconfigured(ValueError):
    """The link cannot be used as configured. The message says what to change."""


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """The link of one agent.

    `hub` is `host:port`, or the wss:// URL of a hub's WebSocket, or several of them, any of which will do.
    Exactly one of `ca_file` (PEM of the centre's CA) and `plaintext` is set, neither where wss:// trusts this
    machine's authorities; plaintext is for a hub on this machine only. `store_id` and
    `boot_counter` come from the agent's store. Pauses in seconds: a retry waits a random time up to
    `first_pause`·2ⁿ, at most `longest_pause`, or `refused_pause` when the hub refuses this agent; n starts
    again once a session has lasted `stable_after`. Answers beyond `bulk_bytes` go beside the stream.
    """

    facility_id: str
    hub: str | tuple[str, ...]
    audience: str
    key_file: Path
    store_id: str
    boot_counter: int
    ca_file: Path | None = None
    plaintext: bool = False
    software_version: str = ""
    commands_at_once: int = LIMITS.credits_query
    first_pause: float = 0.25
    longest_pause: float = 30.0
    refused_pause: float = 300.0
    stable_after: float = 60.0
    bulk_bytes: int = 512 * 1024
    terms: Terms = field(default=DEFAULT)

    def addresses(self) -> tuple[Address, ...]:
        """Where hubs are. Raises LinkMisconfigured for anything that must not be used."""
        if not is_facility_id(self.facility_id):
            raise LinkMisconfigured(f"{self.facility_id!r} is not a facility's slug.")
        hubs = (self.hub,) if isinstance(self.hub, str) else self.hub
        if not hubs:
            raise LinkMisconfigured("centre.hub: give host:port.")
        addresses = tuple(self._address(hub) for hub in hubs)
        trusts = all(address.url.startswith("wss://") for address in addresses) and not self.plaintext
        if self.plaintext == (self.ca_file is not None) and not trusts:
            raise LinkMisconfigured("Set centre.ca_file, or centre.plaintext = true for a hub on this machine.")
        return addresses

    def _address(self, hub: str) -> Address:
        try:
            address = parse_hub(hub)
        except ValueError as error:
            raise LinkMisconfigured(f"centre.hub: {error}") from error
        if address.port == 0:
            raise LinkMisconfigured("centre.hub: the port is missing.")
        if self.plaintext and not address.is_loopback:
            raise LinkMisconfigured(
                f"centre.plaintext is for a hub on this machine; {address.host} is not: set centre.ca_file instead."
            )
        return address
