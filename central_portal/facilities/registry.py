"""Which agents may connect, and the fencing number of each session."""

from __future__ import annotations

import base64
import binascii

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from django.db import transaction
from django.db.models import F

from central_portal.database import in_database
from central_portal.enrolment.members import Roster
from central_portal.enrolment.store import enrolled_key
from central_portal.facilities.models import Facility
from central_portal.link.ports import FacilityKey
from central_portal.settings import Federation, SettingsError


def raw_key(text: str, facility_id: str) -> bytes:
    """The raw 32 bytes of a public key as `federation.toml` writes it. Raises SettingsError."""
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise SettingsError(f"facility {facility_id}: public_key is not the output of `facility-agent key`")
    return key.public_bytes_raw()


class FacilityRegistry:
    """Implements `link.ports.Registry` on the federation's file and the database.

    With `tokens` an enrolled agent's long-lived key is good for signed tokens: where the hub takes no certificates.
    """

    def __init__(self, federation: Federation, roster: Roster | None = None, *, tokens: bool = False) -> None:
        pinned = [f for f in federation.facilities if f.public_key]
        self._keys = {f.id: FacilityKey(f.id, raw_key(f.public_key, f.id)) for f in pinned}
        self._roster, self._tokens = roster or Roster(federation), tokens

    async def key_of(self, facility_id: str) -> FacilityKey | None:
        """The key to check its token with; None for a facility that has none or is switched off."""
        if facility_id in self._keys or not self._tokens:
            return self._keys.get(facility_id)
        if (await self._roster.look()).refusal(facility_id):
            return None
        key = await in_database(enrolled_key)(facility_id)
        return None if key is None else FacilityKey(facility_id, key)

    async def next_epoch(self, facility_id: str) -> int:
        """A fencing number higher than every earlier one of this facility, committed before it is returned."""
        return await in_database(_next_epoch)(facility_id)


def _next_epoch(facility_id: str) -> int:
    with transaction.atomic():
        Facility.objects.get_or_create(slug=facility_id)
        Facility.objects.filter(slug=facility_id).update(epoch=F("epoch") + 1)
        return int(Facility.objects.values_list("epoch", flat=True).get(slug=facility_id))
