"""Which agents may connect, and the fencing number of each session."""

from __future__ import annotations

import base64
import binascii

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from django.db import transaction
from django.db.models import F

from central_portal.database import in_database
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
    """Implements `link.ports.Registry` on the federation's file and the database."""

    def __init__(self, federation: Federation) -> None:
        self._keys = {f.id: FacilityKey(f.id, raw_key(f.public_key, f.id)) for f in federation.facilities}

    async def key_of(self, facility_id: str) -> FacilityKey | None:
        """The key to check its token with; None for a facility that is not enrolled."""
        return self._keys.get(facility_id)

    async def next_epoch(self, facility_id: str) -> int:
        """A fencing number higher than every earlier one of this facility, committed before it is returned."""
        return await in_database(_next_epoch)(facility_id)


def _next_epoch(facility_id: str) -> int:
    with transaction.atomic():
        Facility.objects.get_or_create(slug=facility_id)
        Facility.objects.filter(slug=facility_id).update(epoch=F("epoch") + 1)
        return int(Facility.objects.values_list("epoch", flat=True).get(slug=facility_id))
