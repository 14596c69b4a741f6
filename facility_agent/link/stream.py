"""One gRPC stream to the hub, as two coroutines over bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from shared.link.channel import COMMON_OPTIONS, METHOD
from shared.link.pump import StreamLost

_aio: Any = grpc.aio  # its published types lag behind
_OPTIONS = (
    *COMMON_OPTIONS,
    ("grpc.use_local_subchannel_pool", 1),  # a fresh connection each time, without gRPC's own backoff
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.enable_retries", 0),
    ("grpc.keepalive_permit_without_calls", 1),
)


class Stream:
    """An open stream. Raises StreamLost from both coroutines once it broke."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def read(self) -> bytes | None:
        """The next frame, None at the end."""
        try:
            data = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise StreamLost(_sentence(error.code())) from error
        return None if data is _aio.EOF else bytes(data)

    async def write(self, data: bytes) -> None:
        """Writes one frame; returns when gRPC has taken it."""
        try:
            await self._call.write(data)
        except grpc.aio.AioRpcError as error:
            raise StreamLost(_sentence(error.code())) from error
        except grpc.aio.UsageError as error:  # written after the end
            raise StreamLost("The stream ended.") from error


@asynccontextmanager
async def open_stream(target: str, authority: bytes | None, token: str) -> AsyncIterator[Stream]:
    """A stream to `target` that carries `token`; TLS pinned to `authority` (PEM), plaintext when it is None.

    Connecting goes on behind the first write. The connection is closed on the way out.
    """
    if authority is None:
        options = (*_OPTIONS, ("grpc.enable_http_proxy", 0))
        channel = _aio.insecure_channel(target, options=options)
    else:
        credentials = grpc.ssl_channel_credentials(root_certificates=authority)
        channel = _aio.secure_channel(target, credentials, options=_OPTIONS)
    try:
        call = channel.stream_stream(METHOD)(metadata=(("authorization", f"Bearer {token}"),))
        try:
            yield Stream(call)
        finally:
            call.cancel()
    finally:
        await channel.close()


def _sentence(code: grpc.StatusCode) -> str:
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return "The hub refused the agent's token: compare key, facility id, audience and clock with the centre."
    if code is grpc.StatusCode.UNAVAILABLE:
        return "The hub cannot be reached, or its certificate is not from the pinned CA."
    return f"The stream broke ({code.name})."
