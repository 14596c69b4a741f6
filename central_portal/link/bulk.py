"""The hub's end of PutBulk: one answer that is too large for the stream, in pieces, beside its session."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import grpc

from central_portal.link.session import Session
from shared.limits import LIMITS
from shared.link.terms import MESSAGE_BYTES
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.parse import parse
from shared.wire.text import Malformed

WITHIN = 60.0
Code = grpc.StatusCode


class _Refused(Exception):
    def __init__(self, code: grpc.StatusCode, why: str) -> None:
        super().__init__(why)
        self.code = code


_UNWANTED = _Refused(Code.FAILED_PRECONDITION, "Nobody waits for this answer.")


class BulkService:
    """`sessions` gives those that are open.

    An id alone proves nothing: the pieces must come on the very connection that carries the session, and on any other
    nothing is read. What one session has brought so far, in however many calls, is bounded together.
    """

    def __init__(self, sessions: Callable[[], Iterable[Session]]) -> None:
        self._sessions = sessions
        self._held: Counter[Session] = Counter()

    async def put(self, pieces: AsyncIterator[bytes], context: Any) -> bytes:
        """Collects the pieces and answers the session's ask. Aborts without any effect when they are not good."""
        refused: _Refused
        try:
            here = {session.id: session for session in self._sessions() if session.peer == context.peer()}
            if not here:
                raise _UNWANTED
            async with asyncio.timeout(WITHIN):
                return await self._collected(pieces, here)
        except TimeoutError:
            refused = _Refused(Code.DEADLINE_EXCEEDED, "The answer took too long.")
        except Malformed as error:
            refused = _Refused(Code.INVALID_ARGUMENT, str(error))
        except _Refused as error:
            refused = error
        await context.abort(refused.code, str(refused))
        raise AssertionError("abort raises")

    async def _collected(self, pieces: AsyncIterator[bytes], here: dict[str, Session]) -> bytes:
        data, ticket = bytearray(), 0
        session: Session | None = None
        try:
            async for piece in pieces:
                chunk = parse(pb.BulkChunk, piece, MESSAGE_BYTES)
                if session is None:
                    session, ticket = here.get(chunk.session_id), chunk.ticket
                if session is None or not session.waits_for(ticket):
                    raise _UNWANTED
                data += chunk.data
                self._held[session] += len(chunk.data)
                if self._held[session] > LIMITS.bulk_bytes:
                    raise _Refused(Code.RESOURCE_EXHAUSTED, "The answer is too large.")
            result = parse(pb.Result, bytes(data), LIMITS.bulk_bytes)
        finally:
            if session is not None:
                self._held[session] -= len(data)
                if not self._held[session]:
                    del self._held[session]
        if session is None or result.ticket != ticket:
            raise _Refused(Code.INVALID_ARGUMENT, "The answer is not to this ticket.")
        session.answered_beside(result)
        return pb.BulkReceipt(bytes=len(data)).SerializeToString()
