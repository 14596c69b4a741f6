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
    """The hub's listeners: `listen` is `host:port` (port 0: any), `audience` what agents' tokens are for.

    At `listen` agents enrol and open sessions with signed tokens, at `mutual_listen` with certificates, at
    `websocket_listen`, on loopback behind a web server, with signed tokens over WebSocket (empty: nowhere). `dial` is `listen` as agents reach it. Either `certificate` and `key` (PEM files; without them the
    centre's own authority gives one), or `plaintext` on loopback, then without `mutual_listen`. `events_per_second` and
    `events_at_once` bound what one agent may say unasked before the hub reads it more slowly.
    `drain` is how long a stop waits for answers under way, `lease` how long a session counts as alive without a
    renewal, `session_age` after about how long an agent is asked to open its next session, in seconds. `advertise` is `host:port` under which web processes reach this hub; empty: where it listens.
    """

    listen: str
    audience: str
    certificate: Path | None = None
    key: Path | None = None
    plaintext: bool = False
    mutual_listen: str = ""
    websocket_listen: str = ""
    dial: str = ""
    events_per_second: float = 100.0
    events_at_once: float = 1000.0
    drain: float = 2.0
    lease: float = 30.0
    session_age: float = 3600.0
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
        if (self.certificate is None) != (self.key is None):
            raise HubMisconfigured("Set PARASOL_HUB_CERTIFICATE and PARASOL_HUB_KEY, or neither.")
        return address

    def mutual_address(self) -> Address | None:
        """Where to listen for agents with certificates, None for nowhere. Raises HubMisconfigured."""
        if self.plaintext or not self.mutual_listen:
            return None
        try:
            return parse_address(self.mutual_listen)
        except ValueError as error:
            raise HubMisconfigured(f"PARASOL_HUB_MUTUAL_LISTEN: {error}") from error

    def websocket_address(self) -> Address | None:
        """Where to listen for WebSockets, None for nowhere. Raises HubMisconfigured."""
        if not self.websocket_listen:
            return None
        try:
            address = parse_address(self.websocket_listen)
        except ValueError as error:
            raise HubMisconfigured(f"PARASOL_HUB_WEBSOCKET_LISTEN: {error}") from error
        if not address.is_loopback:
            raise HubMisconfigured(
                "PARASOL_HUB_WEBSOCKET_LISTEN is for loopback: your web server ends TLS in front of it."
            )
        return address

    def dialled(self) -> Address:
        """The hub as agents reach it. Raises HubMisconfigured when nobody has said so."""
        address = parse_address(self.dial) if self.dial else self.address()
        if address.host in ("0.0.0.0", "::"):
            raise HubMisconfigured("Set PARASOL_HUB_ADDRESS to the host:port at which agents reach the hub.")
        return address
