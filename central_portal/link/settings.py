"""What the hub needs to know, and what it refuses before it listens."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from shared.link.terms import DEFAULT, Terms
from shared.wire.addresses import Address, parse_address


class HubMisconfigured(ValueError):
    """The hub cannot be used as configured. The message says what to change."""


@dataclass(frozen=True, slots=True)
class HubSettings:
    """The hub's listener: `listen` is `host:port` (port 0: any), `audience` what agents' tokens are for.

    Either `certificate` and `key` (PEM files), or `plaintext` on loopback. `events_per_second` and
    `events_at_once` bound what one agent may say unasked before the hub reads it more slowly.
    `drain` is how long a stop waits for answers under way, `lease` how long a session counts as alive without a
    renewal, in seconds. `advertise` is `host:port` under which web processes reach this hub; empty: where it listens.
    """

    listen: str
    audience: str
    certificate: Path | None = None
    key: Path | None = None
    plaintext: bool = False
    events_per_second: float = 100.0
    events_at_once: float = 1000.0
    drain: float = 2.0
    lease: float = 30.0
    advertise: str = ""
    terms: Terms = field(default=DEFAULT)

    def address(self) -> Address:
        """Where to listen. Raises HubMisconfigured for anything that must not be used."""
        try:
            address = parse_address(self.listen)
        except ValueError as error:
            raise HubMisconfigured(f"PARASOL_HUB_LISTEN: {error}") from error
        if not self.audience:
            raise HubMisconfigured("PARASOL_HUB_AUDIENCE is empty.")
        if self.plaintext and not address.is_loopback:
            raise HubMisconfigured(
                f"PARASOL_HUB_PLAINTEXT is for loopback only and {address.host} is not: give the hub a certificate."
            )
        if self.plaintext and (self.certificate or self.key):
            raise HubMisconfigured("Set PARASOL_HUB_PLAINTEXT or a certificate, not both.")
        if not self.plaintext and (self.certificate is None or self.key is None):
            raise HubMisconfigured("Set PARASOL_HUB_CERTIFICATE and PARASOL_HUB_KEY (or, on loopback, PLAINTEXT).")
        return address
