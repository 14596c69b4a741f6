"""What the federation's operator does to facilities and agents. Every function raises SettingsError, having changed nothing."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.db import transaction
from pydantic import ValidationError

from central_portal.enrolment import store
from central_portal.enrolment.authority import Authority, hub_authorities
from central_portal.enrolment.members import table_of
from central_portal.enrolment.models import Member
from central_portal.federation import Federation
from central_portal.link import orders
from central_portal.link.settings import HubMisconfigured, HubSettings
from central_portal.settings import CentreSettings, SettingsError, explain
from shared.wire.addresses import is_loopback
from shared.wire.enrolment import SECRET_BYTES, Token, encode_token
from shared.wire.proof import hashed


@dataclass(frozen=True, slots=True)
class Listed:
    """One facility for the operator's eyes."""

    id: str
    name: str
    gateway: str
    workspace_zone: str
    state: str


def add(federation: Federation, facility: str, name: str, gateway: str, workspace_zone: str) -> None:
    """Let a facility take part."""
    if federation.facility(facility) is not None:
        raise SettingsError(f"facility {facility} is in federation.toml already")
    with transaction.atomic():
        if Member.objects.filter(slug=facility).exists():
            raise SettingsError(f"facility {facility} was added before; change it with `facility set`")
        row = _checked(
            federation, Member(slug=facility, name=name, gateway=gateway, workspace_zone=workspace_zone)
        )
        row.save(force_insert=True)


def change(federation: Federation, facility: str, **fields: str) -> None:
    """Change name, gateway or workspace zone of a facility."""
    if not fields:
        raise SettingsError("nothing to change: give --name, --gateway or --workspace-zone")
    with transaction.atomic():
        row = _row(federation, facility)
        for key, value in fields.items():
            setattr(row, key, value)
        _checked(federation, row).save()


def switch(federation: Federation, facility: str, *, enabled: bool) -> None:
    """Switch a facility on or off; its agent's session ends within 5 s."""
    with transaction.atomic():
        row = _row(federation, facility)
        row.enabled = enabled
        row.save()


def remove(federation: Federation, facility: str, now: float) -> None:
    """Take a facility out; its agents are revoked for good, and its orders are over."""
    with transaction.atomic():
        row = _row(federation, facility)
        store.revoke(facility, None, now)
        orders.abandon(facility, now)
        row.delete()


def listed(federation: Federation) -> list[Listed]:
    """Every facility, those of the file first."""
    pinned = [
        Listed(f.id, f.name, f.gateway, f.workspace_zone, "in federation.toml") for f in federation.facilities
    ]
    rows = [
        Listed(r.slug, r.name, r.gateway, r.workspace_zone, "enabled" if r.enabled else "disabled")
        for r in store.members()
    ]
    return pinned + rows


def token(
    settings: CentreSettings,
    hub: HubSettings,
    federation: Federation,
    authority: Authority,
    facility: str,
    now: float,
) -> str:
    """A new enrolment token's text, to be shown once."""
    if federation.facility(facility) is None and not Member.objects.filter(slug=facility, enabled=True).exists():
        raise SettingsError(f"facility {facility} does not take part; add or enable it first")
    try:
        hub.address()
        address = hub.dialled()
    except (HubMisconfigured, ValueError) as error:
        raise SettingsError(str(error)) from None
    if address.port == 0:
        raise SettingsError("set PARASOL_HUB_ADDRESS to the host:port at which agents reach the hub")
    authorities = hub_authorities(settings, authority)
    if not authorities and not is_loopback(address.host):
        raise SettingsError("set PARASOL_HUB_CA to the authority of the certificate that agents see at the hub")
    secret = secrets.token_bytes(SECRET_BYTES)
    store.save_token(hashed(secret), facility, now)
    return encode_token(Token(str(address), facility, secret, authorities))


def revoke(facility: str, serial: str | None, now: float) -> int:
    """Revoke an agent's certificates, or the one of a serial number in any usual notation; how many."""
    if not store.was_enrolled(facility):
        raise SettingsError(f"facility {facility} has no agent and no token that could be revoked")
    try:
        count = store.revoke(facility, f"{int(serial.replace(':', ''), 16):x}" if serial else None, now)
    except ValueError:
        count = 0
    if serial and not count:
        raise SettingsError(f"facility {facility} has no certificate {serial} that could be revoked")
    return count


def _row(federation: Federation, facility: str) -> Member:
    row = Member.objects.select_for_update().filter(slug=facility).first()
    if row is None and federation.facility(facility) is not None:
        raise SettingsError(f"facility {facility} is in federation.toml; change it there and restart the centre")
    if row is None:
        raise SettingsError(f"there is no facility {facility}")
    return row


def _checked(federation: Federation, row: Member) -> Member:
    """The row, written as federation.toml would have it read, with addresses that no other facility has."""
    try:
        table = table_of(row)
    except ValidationError as error:
        raise SettingsError(explain(error, f"facility {row.slug}")) from None
    row.gateway, row.workspace_zone = table.gateway, table.workspace_zone
    for other in listed(federation):
        if other.id != row.slug and other.gateway == row.gateway:
            raise SettingsError(f"facility {row.slug}: gateway: is that of facility {other.id}")
        if other.id != row.slug and other.workspace_zone == row.workspace_zone:
            raise SettingsError(f"facility {row.slug}: workspace_zone: is that of facility {other.id}")
    return row
