"""A gRPC stream as the pump wants it: two coroutines that raise StreamLost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc.aio

from central_portal.link.tokens import TokenRefused
from shared.link.pump import StreamLost

_aio: Any = grpc.aio  # its published types lag behind


@dataclass(frozen=True, slots=True)
class Stream:
    """An agent's stream; `peer` is gRPC's name of the connection that carries it."""

    peer: str
    read: Callable[[], Awaitable[bytes | None]]
    write: Callable[[bytes], Awaitable[None]]


def bearer(metadata: Any) -> str:
    """The stream's token. Raises TokenRefused."""
    found = [value for key, value in metadata or () if key == "authorization"]
    if len(found) != 1 or not isinstance(found[0], str) or not found[0].startswith("Bearer "):
        raise TokenRefused("there is no token")
    return found[0].removeprefix("Bearer ")


def stream_of(context: Any) -> Stream:
    """The stream of an RPC."""

    async def read() -> bytes | None:
        try:
            data = await context.read()
        except Exception as error:  # gRPC raises internal types here; all mean that the stream is over
            raise StreamLost("The stream broke.") from error
        return None if data is _aio.EOF else bytes(data)

    async def write(data: bytes) -> None:
        try:
            await context.write(data)
        except Exception as error:  # as above
            raise StreamLost("The stream broke.") from error

    return Stream(context.peer(), read, write)
