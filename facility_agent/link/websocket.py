"""The same frames over a WebSocket: for sites whose proxies speak HTTP/1.1 alone."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from shared.link.channel import SUBPROTOCOL
from shared.link.pump import StreamLost
from shared.link.terms import MESSAGE_BYTES

_OPEN_WITHIN = 10.0
_REFUSALS = (401, 403)
BROKEN = (ConnectionClosed, AttributeError)
"""AttributeError: asyncio of Python 3.11 forgets its loop when it writes the last buffered bytes of a transport that is
closing, and the library then aborts that transport."""


class WebSocketStream:
    """The like of `stream.Stream`. Large answers go by the stream: there is nothing beside it."""

    def __init__(
        self, socket: ClientConnection | None, lost: StreamLost | None = None, *, refused: bool = False
    ) -> None:
        self._socket, self._lost, self.refused = socket, lost, refused

    async def read(self) -> bytes | None:
        """See `stream.Stream.read`."""
        try:
            data = await self._open.recv()
        except ConnectionClosed as error:
            if error.rcvd is not None and error.rcvd.code == 1000:
                return None
            raise StreamLost("The WebSocket broke.") from error
        if isinstance(data, str):
            raise StreamLost("The hub sent text, which it never does: something else answers there.")
        return data

    async def write(self, data: bytes) -> None:
        """See `stream.Stream.write`."""
        try:
            await self._open.send(data)
        except BROKEN as error:
            raise StreamLost("The WebSocket broke.") from error

    async def finish(self) -> None:
        """See `stream.Stream.finish`. A WebSocket closes both ways at once: what the hub still says is lost."""
        await _close(self._open)

    async def put_bulk(self, chunks: AsyncIterator[bytes]) -> bytes:
        """Always raises StreamLost."""
        raise StreamLost("A WebSocket has nothing beside it.")

    @property
    def _open(self) -> ClientConnection:
        if self._socket is None:
            raise self._lost or StreamLost("The hub cannot be reached.")
        return self._socket


@asynccontextmanager
async def open_websocket(
    url: str, context: ssl.SSLContext | None, metadata: tuple[tuple[str, str], ...]
) -> AsyncIterator[WebSocketStream]:
    """A stream to `url` under this TLS (None for ws://) with these headers; one that is lost when it cannot be opened.

    A proxy that the environment names is used, except for this machine.
    """
    try:
        socket = await connect(
            url, ssl=context, additional_headers=metadata, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None,
            max_size=MESSAGE_BYTES, open_timeout=_OPEN_WITHIN, ping_interval=15, ping_timeout=8,
            proxy=True if url.startswith("wss://") else None,
        )  # fmt: skip
    except InvalidStatus as error:
        status = error.response.status_code
        refused = status in _REFUSALS
        sentence = (
            "The hub refused the agent's token: compare key, facility id, audience and clock with the centre."
            if refused
            else f"The hub's WebSocket answered with status {status}."
        )
        yield WebSocketStream(None, StreamLost(sentence), refused=refused)
    except (OSError, TimeoutError, WebSocketException, ValueError):
        yield WebSocketStream(
            None, StreamLost("The hub's WebSocket cannot be reached, or its certificate is not trusted.")
        )
    else:
        try:
            yield WebSocketStream(socket)
        finally:
            await _close(socket)


async def _close(socket: ClientConnection) -> None:
    with suppress(*BROKEN):
        await socket.close()
