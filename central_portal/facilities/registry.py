"""Which agents may connect, and whose session is the facility's."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from central_portal.database import in_database
from central_portal.enrolment.members import Roster
from central_portal.enrolment.store import enrolled_key
from central_portal.facilities import heads, sessions
from central_portal.federation import Federation
from central_portal.link.ports import Admission, Beat, FacilityKey, HeadNews, HelloFacts, HubPlace
from central_portal.settings import SettingsError

LEASE = 30.0


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
    """Implements `link.ports.Registry` on the federation's file and the database; a session lives `lease_s` unrenewed.

    With `tokens` an enrolled agent's long-lived key is good for signed tokens: where the hub takes no certificates.
    """

    def __init__(
        self, federation: Federation, roster: Roster | None = None, lease_s: float = LEASE, *, tokens: bool = False
    ) -> None:
        pinned = [f for f in federation.facilities if f.public_key]
        self._keys = {f.id: FacilityKey(f.id, raw_key(f.public_key, f.id)) for f in pinned}
        self._roster, self._lease, self._tokens = roster or Roster(federation), lease_s, tokens

    async def key_of(self, facility_id: str) -> FacilityKey | None:
        """The key to check its token with; None for a facility that has none or is switched off."""
        if facility_id in self._keys or not self._tokens:
            return self._keys.get(facility_id)
        if (await self._roster.look()).refusal(facility_id):
            return None
        key = await in_database(enrolled_key)(facility_id)
        return None if key is None else FacilityKey(facility_id, key)

    async def admit(self, facility_id: str, hello: HelloFacts, hub: HubPlace) -> Admission:
        """See `link.ports.Registry.admit`."""
        return await in_database(sessions.admit)(facility_id, hello, hub, self._lease)

    async def renew(self, hub_id: str, held: Mapping[str, Beat]) -> frozenset[str]:
        """See `link.ports.Registry.renew`."""
        return await in_database(sessions.renew)(hub_id, held, self._lease)

    async def close(self, facility_id: str, epoch: int, ending: str) -> None:
        """See `link.ports.Registry.close`."""
        await in_database(sessions.close)(facility_id, epoch, ending)

    async def keep_heads(self, news: Mapping[str, HeadNews]) -> Mapping[str, HeadNews]:
        """See `link.ports.Registry.keep_heads`."""
        return await in_database(heads.keep)(news)
