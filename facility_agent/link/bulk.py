"""Answers that are too large for the stream: beside it, in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator

from facility_agent.link.carriage import Carriage
from shared.link.agent_end import AgentEnd
from shared.link.pump import StreamLost
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb

CHUNK = 64 * 1024


class BulkEnd(AgentEnd):
    """An agent's end whose answers may go another way."""

    def answered_beside(self, ticket: int) -> None:
        """The hub has the answer to this ticket already."""
        self._open_tickets.discard(ticket)


async def put_bulk(stream: Carriage, session_id: str, result: pb.Result) -> None:
    """Brings one answer to the hub beside the stream. Raises StreamLost when the hub has not all of it."""
    data = result.SerializeToString()

    async def chunks() -> AsyncIterator[bytes]:
        for begin in range(0, len(data), CHUNK):
            chunk = pb.BulkChunk(data=data[begin : begin + CHUNK])
            if begin == 0:
                chunk.session_id, chunk.ticket = session_id, result.ticket
            yield chunk.SerializeToString()

    receipt = pb.BulkReceipt.FromString(await stream.put_bulk(chunks()))
    if receipt.bytes != len(data):
        raise StreamLost(f"The hub has {receipt.bytes} of {len(data)} bytes of an answer.")
