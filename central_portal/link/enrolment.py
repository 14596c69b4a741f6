"""The service Enrolment at the hub: bytes in, the certificate authority's answer or its refusal out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from central_portal.link.identity import certificate_of
from central_portal.link.ports import EnrolmentRefused, Enrolments, Issued
from shared.wire.enrolment import ENROL, REASON, RECOVER, RENEW, SERVICE, Enrolled, encode_enrolled, read
from shared.wire.gen.parasol.enrolment.v1 import enrolment_pb2 as pb
from shared.wire.text import Malformed

log = logging.getLogger(__name__)
_AT_ONCE = 8
_WAITING = 64
_STATUS = {
    "BUSY": grpc.StatusCode.UNAVAILABLE,
    "BAD_REQUEST": grpc.StatusCode.INVALID_ARGUMENT,
    "BAD_KEY": grpc.StatusCode.INVALID_ARGUMENT,
    "BAD_STATEMENT": grpc.StatusCode.INVALID_ARGUMENT,
    "CLOCK_SKEW": grpc.StatusCode.FAILED_PRECONDITION,
    "CERTIFICATE_GOOD": grpc.StatusCode.FAILED_PRECONDITION,
    "RECOVERY_LIMIT": grpc.StatusCode.RESOURCE_EXHAUSTED,
}


class EnrolmentService:
    """Serves the three calls. `mutual` says where certificates are taken, `audience` what tokens are for."""

    def __init__(self, enrolments: Enrolments, mutual: Callable[[], str], audience: str) -> None:
        self._enrolments, self._mutual, self._audience = enrolments, mutual, audience
        self._slots, self._waiting = asyncio.Semaphore(_AT_ONCE), 0

    def handler(self) -> Any:
        """For `add_generic_rpc_handlers`; requests stay bytes, so that their size is judged first."""
        methods = {ENROL: self._enrol, RENEW: self._renew, RECOVER: self._recover}
        return grpc.method_handlers_generic_handler(
            SERVICE, {name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()}
        )

    async def _enrol(self, data: bytes, context: Any) -> bytes:
        async def answer() -> Issued:
            asked = read(pb.EnrolRequest, data)
            return await self._enrolments.enrol(asked.secret, asked.statement, asked.signature)

        return await self._answered(context, answer)

    async def _renew(self, data: bytes, context: Any) -> bytes:
        async def answer() -> Issued:
            certificate = certificate_of(context)
            if certificate is None:
                raise EnrolmentRefused(
                    "CERTIFICATE_UNKNOWN", "A certificate is renewed where certificates are taken."
                )
            return await self._enrolments.renew(certificate, read(pb.RenewRequest, data).request)

        return await self._answered(context, answer)

    async def _recover(self, data: bytes, context: Any) -> bytes:
        async def answer() -> Issued:
            asked = read(pb.RecoverRequest, data)
            return await self._enrolments.recover(asked.statement, asked.signature)

        return await self._answered(context, answer)

    async def _answered(self, context: Any, answer: Callable[[], Awaitable[Issued]]) -> bytes:
        try:
            issued = await self._in_turn(answer)
        except Malformed as error:
            refused = EnrolmentRefused("BAD_REQUEST", str(error))
        except EnrolmentRefused as error:
            refused = error
        except Exception:  # a fault of ours: nothing was given out, and a stranger learns nothing
            log.exception("A request for a certificate failed.")
            refused = EnrolmentRefused("BUSY", "The centre could not answer; try again.")
        else:
            log.info("A certificate was issued to %s.", context.peer())
            return encode_enrolled(
                Enrolled(issued.certificate, issued.authorities, self._mutual(), self._audience)
            )
        log.warning("No certificate for %s (%s): %s", context.peer(), refused.reason, refused.sentence)
        status = _STATUS.get(refused.reason, grpc.StatusCode.PERMISSION_DENIED)
        await context.abort(status, refused.sentence, ((REASON, refused.reason),))
        raise AssertionError("abort raises")

    async def _in_turn(self, answer: Callable[[], Awaitable[Issued]]) -> Issued:
        """A few at a time; beyond a bounded queue, refuse early."""
        if self._waiting >= _WAITING:
            raise EnrolmentRefused("BUSY", "Too many agents enrol at this moment; try again.")
        self._waiting += 1
        try:
            async with self._slots:
                return await answer()
        finally:
            self._waiting -= 1
