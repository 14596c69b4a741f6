"""The hub's end of PutBulk: one answer that is too large for the stream, in pieces, beside its session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from central_portal.link.session import Session
from shared.limits import LIMITS
from shared.link.terms import MESSAGE_BYTES
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.parse import parse
from shared.wire.text import Malformed

PUT_BULK = "PutBulk"


class BulkService:
    """`session` finds an open session by its id.

    The id alone proves nothing: the pieces must come on the very connection that carries the session.
    """

    def __init__(self, session: Callable[[str], Session | None]) -> None:
        self._session = session

    async def put(self, _pieces: Any, context: Any) -> bytes:
        """Collects the pieces and answers the session's ask. Aborts without any effect when they are not good."""
        data = bytearray()
        session: Session | None = None
        ticket = 0
        try:
            async for piece in _pieces:
                chunk = parse(pb.BulkChunk, piece, MESSAGE_BYTES)
                if session is None:
                    session, ticket = self._session(chunk.session_id), chunk.ticket
                    if session is None or session.peer != context.peer() or not session.waits_for(ticket):
                        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "Nobody waits for this answer.")
                data += chunk.data
                if len(data) > LIMITS.bulk_bytes:
                    await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "The answer is too large.")
            result = parse(pb.Result, bytes(data), LIMITS.bulk_bytes)
        except Malformed as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise AssertionError("abort raises") from error
        if session is None or result.ticket != ticket:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The answer is not to this ticket.")
            raise AssertionError("abort raises")
        session.answered_beside(result)
        return pb.BulkReceipt(bytes=len(data)).SerializeToString()
