"""Whom a stream comes from, and that it still may: certificates where TLS ends at the hub, signed tokens elsewhere."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from central_portal.link.ports import Caller, EnrolmentRefused, Enrolments, Registry
from central_portal.link.streams import bearer
from central_portal.link.tokens import TokenCheck, TokenRefused

log = logging.getLogger(__name__)
LOOK_EVERY = 2.0
Cut = Callable[[str], None]


class CallerRefused(Exception):
    """The stream is nobody's. The message is all that a stranger hears."""


class Identity:
    """Proves callers, and tells when one that was let in must go.

    While there is any session, every `every` seconds all their standings are read again, so that whatever was
    revoked is cut off within 5 s. A database that does not answer cuts nobody off.
    """

    def __init__(
        self,
        tokens: TokenCheck,
        registry: Registry,
        enrolments: Enrolments | None = None,
        every: float = LOOK_EVERY,
    ) -> None:
        self._tokens, self._registry, self._enrolments, self._every = tokens, registry, enrolments, every
        self._watched: dict[int, tuple[Caller, Cut]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._next = 0

    async def facility_of(self, context: Any) -> Caller:
        """Who calls. Raises CallerRefused, after a line in the log."""
        pem = certificate_of(context)
        proof = self._by_token(context.invocation_metadata()) if pem is None else self._by_certificate(pem)
        return await self._proven(proof, context.peer())

    async def facility_of_token(self, metadata: Any, peer: str) -> Caller:
        """Whom these headers stand for, (name, value) each. Raises CallerRefused, after a line in the log."""
        return await self._proven(self._by_token(metadata), peer)

    async def _proven(self, proof: Awaitable[Caller], peer: str) -> Caller:
        try:
            return await proof
        except TokenRefused as error:
            log.warning("An agent at %s was refused: %s.", peer, error)
        except EnrolmentRefused as error:
            log.warning("An agent at %s was refused (%s): %s", peer, error.reason, error.sentence)
            raise CallerRefused(error.sentence) from error  # it holds a certificate of ours: it may know why
        except Exception:  # whatever fails here must let nobody in, and tell a stranger nothing
            log.exception("A caller could not be proven.")
        raise CallerRefused("The token was refused.")

    @contextmanager
    def watching(self, caller: Caller, cut: Cut) -> Iterator[None]:
        """Calls `cut` with one sentence, once, should the caller lose its standing meanwhile."""
        self._next += 1
        mine = self._next
        self._watched[mine] = (caller, cut)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_again())
        try:
            yield
        finally:
            self._watched.pop(mine, None)
            if not self._watched and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _by_certificate(self, pem: bytes) -> Caller:
        if self._enrolments is None:
            raise EnrolmentRefused("CERTIFICATE_UNKNOWN", "This hub knows no certificates.")
        return await self._enrolments.admit(pem)

    async def _by_token(self, metadata: Any) -> Caller:
        facility_id = await self._tokens.facility_of(bearer(metadata))
        known = await self._registry.key_of(facility_id)
        if known is None:
            raise TokenRefused("this facility is not enrolled")
        return Caller(facility_id, key=known.public_key)

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                fallen = await self._fallen({caller for caller, _ in self._watched.values()})
            except Exception:
                log.exception("The agents' standings cannot be read.")
                continue
            for mine, (caller, cut) in list(self._watched.items()):
                if caller in fallen:
                    del self._watched[mine]
                    log.warning("The agent of %s is cut off: %s", caller.facility_id, fallen[caller])
                    cut(fallen[caller])

    async def _fallen(self, callers: set[Caller]) -> dict[Caller, str]:
        certified = [caller for caller in callers if caller.serial]
        found = await self._enrolments.fallen(certified) if self._enrolments and certified else {}
        for caller in callers.difference(certified):
            known = await self._registry.key_of(caller.facility_id)
            if known is None or known.public_key != caller.key:
                found[caller] = "This agent's key is no longer the facility's."
        return found


def certificate_of(context: Any) -> bytes | None:
    """The client certificate (PEM) that TLS has verified; None where none was asked for."""
    found = context.auth_context().get("x509_pem_cert")
    return found[0] if found else None
