"""The agent's certificate over the years: which one is used, when the next is fetched, and how after a long outage."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from random import SystemRandom

import grpc
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from facility_agent.link import enrolment
from facility_agent.link.backoff import Backoff
from facility_agent.link.enrolment import EnrolmentFailed
from facility_agent.link.identity import CURRENT, NEXT, Identity, read_identity, replace, write_identity
from facility_agent.link.keys import load_key
from facility_agent.link.settings import LinkMisconfigured
from facility_agent.link.token import signed_token
from facility_agent.link.ways import Way, bearer

log = logging.getLogger(__name__)
EARLIEST, LATEST = 0.50, 0.66
LOOK_EVERY = 30.0
_OFFLINE = 600.0
_PROBE_AGAIN = 3600.0
NOT_ENROLLED = (
    "This facility is not enrolled; ask the federation's operator for a token, then run `facility-agent enrol`."
)


class Certificates:
    """Implements `ways.Ways` for an enrolled agent, from the files in its state folder.

    The files are read again for each stream, so an enrolment takes effect at the next one. A renewed certificate is
    tried first, and becomes the only one once a session was opened with it; until then the previous one stays and
    takes turns with it, so a centre that does not know the new one locks nobody out. `clock` gives POSIX seconds.
    """

    def __init__(
        self, folder: Path, facility_id: str, key_file: Path, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder, self._facility_id, self._key_file, self._clock = folder, facility_id, key_file, clock
        self._pending: EllipticCurvePrivateKey | None = None
        self._share = SystemRandom().uniform(EARLIEST, LATEST)
        self._next_failed = False
        self.problem = ""

    def prepare(self) -> None:
        """See `Ways.prepare`."""
        identity = self.current()
        if identity is None:
            raise LinkMisconfigured(NOT_ENROLLED)
        if identity.facility_id != self._facility_id:
            raise LinkMisconfigured(
                f"{self._folder / CURRENT} is of facility {identity.facility_id}; enrol {self._facility_id}."
            )
        self._key()

    def way(self) -> Way:
        """See `Ways.way`."""
        newest = read_identity(self._folder / NEXT)
        if newest is not None and not self._next_failed:
            self._next_failed = True  # until `opened` says otherwise
            return self._way(newest)
        self._next_failed = False
        identity = self.current() or newest
        if identity is None:
            raise LinkMisconfigured(NOT_ENROLLED)
        return self._way(identity)

    def opened(self, way: Way) -> None:
        """See `Ways.opened`: a new certificate is now the only one."""
        newest = read_identity(self._folder / NEXT)
        if newest is not None and newest.certificate.serial_number == way.serial:
            replace(self._folder / NEXT, self._folder / CURRENT)
            self._next_failed, self._share = False, SystemRandom().uniform(EARLIEST, LATEST)
            log.info("The certificate until %s is in use.", newest.certificate.not_valid_after_utc)

    def current(self) -> Identity | None:
        """What sessions were opened with so far. Raises LinkMisconfigured."""
        return read_identity(self._folder / CURRENT)

    def newest(self) -> Identity | None:
        """The same, or what will replace it. Raises LinkMisconfigured."""
        return read_identity(self._folder / NEXT) or self.current()

    def seconds_left(self) -> float | None:
        """See `Ways.seconds_left`."""
        identity = self.newest()
        return max(0.0, identity.ends - self._clock()) if identity and identity.mutual else None

    def due(self) -> bool:
        """Whether it is time for the next certificate."""
        identity = self.newest()
        if identity is None or not identity.mutual:
            return False
        return self._clock() >= identity.begins + self._share * (identity.ends - identity.begins)

    def overdue(self) -> bool:
        """Whether a running agent would have renewed by now."""
        identity = self.newest()
        return identity is not None and self._clock() > identity.begins + 0.8 * (identity.ends - identity.begins)

    async def renew(self, *, stuck: bool = False) -> None:
        """Fetches the next certificate; `stuck` when the hub has long been out of reach with this one.

        Raises EnrolmentFailed, having changed nothing. A lost answer is asked for again with the same key.
        """
        identity = await asyncio.to_thread(self.newest)
        if identity is None:
            raise EnrolmentFailed("NOT_ENROLLED", NOT_ENROLLED)
        key = self._pending = self._pending or generate_private_key(SECP256R1())
        if self._clock() >= identity.ends:
            made = await self._recover(identity, key)
        else:
            try:
                made = await enrolment.renew(identity, key)
            except EnrolmentFailed as error:
                if not (stuck and error.reason == "UNREACHABLE") and error.reason != "CERTIFICATE_EXPIRED":
                    raise
                made = await self._recover(identity, key)  # also tells why: clocks, a closed port, a revocation
        await asyncio.to_thread(write_identity, self._folder / NEXT, made)
        self._pending, self._next_failed = None, False
        log.info("The next certificate is good until %s.", made.certificate.not_valid_after_utc)

    async def keep(self, renewed: Callable[[], None], connected: Callable[[], bool]) -> None:
        """Renews for ever, until cancelled. `renewed` is called after each time: open the next session, then leave the old."""
        backoff, probe_at = Backoff(5.0, 600.0, 1.0), self._clock() + _OFFLINE
        while True:
            pause = LOOK_EVERY
            if connected():
                probe_at = self._clock() + _OFFLINE
            stuck = self._clock() >= probe_at
            try:
                if stuck or await asyncio.to_thread(self.due):
                    probe_at = self._clock() + _PROBE_AGAIN
                    await self.renew(stuck=stuck)
                    self.problem, backoff = "", Backoff(5.0, 600.0, 1.0)
                    renewed()
            except (EnrolmentFailed, LinkMisconfigured, OSError) as error:
                self.problem = str(error)
                pause = max(5.0, backoff.pause(0.0))
                log.warning("The certificate could not be renewed: %s Next attempt in %.0f s.", error, pause)
            await asyncio.sleep(pause)

    async def _recover(self, identity: Identity, key: EllipticCurvePrivateKey) -> Identity:
        mine = await asyncio.to_thread(self._key)
        return await enrolment.recover(identity, mine, key, self._clock)

    def _key(self) -> Ed25519PrivateKey:
        return load_key(self._key_file)

    def _way(self, identity: Identity) -> Way:
        serial = identity.certificate.serial_number
        if identity.mutual:
            credentials = grpc.ssl_channel_credentials(identity.authorities, identity.key, identity.chain())
            return Way(identity.mutual, credentials, (), serial)
        token = signed_token(self._key(), identity.facility_id, identity.audience, self._clock())
        trusted = identity.authorities
        plain = None if not trusted else grpc.ssl_channel_credentials(root_certificates=trusted)
        return Way(identity.hub, plain, bearer(token), serial)
