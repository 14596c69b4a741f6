"""One gRPC stream to the hub, as two coroutines over bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from shared.link.channel import BULK_METHOD, COMMON_OPTIONS, METHOD
from shared.link.pump import StreamLost
from shared.wire.text import plain

_aio: Any = grpc.aio  # its published types lag behind
_OPTIONS = (
    *COMMON_OPTIONS,
    ("grpc.use_local_subchannel_pool", 1),  # a fresh connection each time, without gRPC's own backoff
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.enable_retries", 0),
    ("grpc.keepalive_permit_without_calls", 1),
)
_BULK_WITHIN = 60.0
_REFUSALS = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)


class Stream:
    """An open stream. Raises StreamLost from both coroutines once it broke; `refused` when the hub did not let us in."""

    def __init__(self, call: Any, channel: Any) -> None:
        self._call, self._channel = call, channel
        self.refused = False

    async def read(self) -> bytes | None:
        """The next frame, None at the end."""
        try:
            data = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise self._lost(error) from error
        return None if data is _aio.EOF else bytes(data)

    async def write(self, data: bytes) -> None:
        """Writes one frame; returns when gRPC has taken it."""
        try:
            await self._call.write(data)
        except grpc.aio.AioRpcError as error:
            raise self._lost(error) from error
        except asyncio.InvalidStateError as error:  # written after the end
            raise StreamLost("The stream ended.") from error

    async def finish(self) -> None:
        """Nothing more is written; what was written still arrives."""
        try:
            await self._call.done_writing()
        except grpc.aio.AioRpcError as error:
            raise StreamLost("The stream ended.") from error

    async def put_bulk(self, chunks: AsyncIterator[bytes]) -> bytes:
        """Sends serialised BulkChunks beside the stream, on its connection; the receipt's bytes. Raises StreamLost.

        Without the stream's token, which was good once: the session that the first chunk names stands for it.
        """
        try:
            return bytes(await self._channel.stream_unary(BULK_METHOD)(chunks, timeout=_BULK_WITHIN))
        except grpc.aio.AioRpcError as error:
            raise StreamLost(f"The hub did not take a large answer ({error.code().name}).") from error

    def _lost(self, error: grpc.aio.AioRpcError) -> StreamLost:
        self.refused = self.refused or error.code() in _REFUSALS
        return StreamLost(_sentence(error))


@asynccontextmanager
async def open_stream(
    target: str, credentials: grpc.ChannelCredentials | None, metadata: tuple[tuple[str, str], ...]
) -> AsyncIterator[Stream]:
    """A stream to `target` under these TLS credentials (plaintext when None) with these metadata.

    Connecting goes on behind the first write. The connection is closed on the way out.
    """
    channel = open_channel(target, credentials)
    try:
        call = channel.stream_stream(METHOD)(metadata=metadata)
        try:
            yield Stream(call, channel)
        finally:
            call.cancel()
    finally:
        await channel.close()


def open_channel(target: str, credentials: grpc.ChannelCredentials | None) -> Any:
    """A connection of its own to the hub; never plaintext through a proxy."""
    if credentials is None:
        return _aio.insecure_channel(target, options=(*_OPTIONS, ("grpc.enable_http_proxy", 0)))
    return _aio.secure_channel(target, credentials, options=_OPTIONS)


def _sentence(error: grpc.aio.AioRpcError) -> str:
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.UNAUTHENTICATED and "token" in details:
        return "The hub refused the agent's token: compare key, facility id, audience and clock with the centre."
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return f"The hub refused the agent's certificate: {plain(details)}"
    if code is grpc.StatusCode.UNAVAILABLE:
        return "The hub cannot be reached, or its certificate is not from the pinned CA."
    return f"The stream broke ({code.name})."
