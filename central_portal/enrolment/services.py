"""The centre's certificate authority as the hub calls it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from central_portal.database import in_database
from central_portal.enrolment import logic, store
from central_portal.enrolment.authority import Authority
from central_portal.enrolment.certificates import (
    agent_certificate,
    key_hash,
    requested_key,
    serial_of,
    spiffe_id,
    uri_of,
)
from central_portal.enrolment.members import Roster
from central_portal.link.ports import Caller, EnrolmentRefused, Issued
from shared.wire.enrolment import Statement, open_statement
from shared.wire.proof import hashed
from shared.wire.text import Malformed


class Enrolment:
    """Implements `link.ports.Enrolments` on the tables. `authorities` (DER) is what agents are told to trust.

    Facilities are looked up in the database each time, so another process's change holds at once.
    """

    def __init__(
        self, authority: Authority, roster: Roster, authorities: Callable[[], tuple[bytes, ...]],
        life: float, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._authority, self._roster, self._authorities = authority, roster, authorities
        self._life, self._clock = life, clock

    async def enrol(self, secret: bytes, statement: bytes, signature: bytes) -> Issued:
        """See `link.ports.Enrolments.enrol`."""
        said, key, now = self._judged(statement, signature, "enrol")
        await self._may_take_part(said.facility_id)
        return self._issued(
            await in_database(store.enrol)(
                hashed(secret), said.facility_id, said.public_key, key_hash(key), self._sign(key, now), now
            )
        )

    async def renew(self, certificate: bytes, request: bytes) -> Issued:
        """See `link.ports.Enrolments.renew`."""
        caller, now = await self._holder(certificate), self._clock()
        key = requested_key(request)
        await self._may_take_part(caller.facility_id)
        return self._issued(await in_database(store.renew)(caller, key_hash(key), self._sign(key, now), now))

    async def recover(self, statement: bytes, signature: bytes) -> Issued:
        """See `link.ports.Enrolments.recover`."""
        said, key, now = self._judged(statement, signature, "recover")
        await self._may_take_part(said.facility_id)
        return self._issued(
            await in_database(store.recover)(
                said.facility_id, said.public_key, key_hash(key), self._sign(key, now), now
            )
        )

    async def admit(self, certificate: bytes) -> Caller:
        """See `link.ports.Enrolments.admit`."""
        caller = await self._holder(certificate)
        await self._may_take_part(caller.facility_id)
        await in_database(store.admit)(caller, self._clock())
        return caller

    async def fallen(self, callers: Iterable[Caller]) -> dict[Caller, str]:
        """See `link.ports.Enrolments.fallen`."""
        mine = [caller for caller in callers if caller.serial]
        now, rows = self._clock(), await in_database(store.standings)([caller.serial for caller in mine])
        members = await self._roster.look()
        found = {}
        for caller in mine:
            _, facts = rows.get(caller.serial, ("", None))
            reason = members.refusal(caller.facility_id) or logic.fallen(facts, now)
            if reason:
                found[caller] = reason
        return found

    async def _may_take_part(self, facility_id: str) -> None:
        reason = (await self._roster.look()).refusal(facility_id)
        if reason:
            raise EnrolmentRefused("FACILITY_REFUSED", reason)

    async def _holder(self, pem: bytes) -> Caller:
        """What a certificate says of its holder; that the centre issued it is left to the rows."""
        try:
            certificate = x509.load_pem_x509_certificate(pem)
            key, uri, parts = certificate.public_key(), uri_of(certificate), uri_of(certificate).split("/")
        except Exception as error:  # TLS has let it in, so this is ours or a fault of ours
            raise EnrolmentRefused("CERTIFICATE_UNKNOWN", "The certificate cannot be read.") from error
        facility = parts[4] if len(parts) == 7 else ""
        number = int(parts[6]) if len(parts) == 7 and parts[6].isdecimal() else 0
        known = uri == spiffe_id(self._authority.signer.trust_domain, facility, number)
        if not known or not isinstance(key, EllipticCurvePublicKey):
            raise EnrolmentRefused("CERTIFICATE_UNKNOWN", "The certificate names no agent of this federation.")
        return Caller(facility, serial_of(certificate), bytes.fromhex(key_hash(key)))

    def _judged(
        self, data: bytes, signature: bytes, purpose: str
    ) -> tuple[Statement, EllipticCurvePublicKey, float]:
        try:
            said = open_statement(data, signature, purpose)
        except Malformed as error:
            raise EnrolmentRefused("BAD_STATEMENT", str(error)) from error
        now = self._clock()
        logic.check_clock(said.clock_ms, now)
        return said, requested_key(said.request), now

    def _sign(self, key: EllipticCurvePublicKey, now: float) -> store.Sign:
        def sign(facility: str, number: int) -> store.Signed:
            made = agent_certificate(self._authority.signer, key, facility, number, now, self._life)
            return store.Signed(
                serial_of(made), made.public_bytes(Encoding.DER), made.not_valid_after_utc.timestamp()
            )

        return sign

    def _issued(self, der: bytes) -> Issued:
        return Issued(der, self._authorities())
