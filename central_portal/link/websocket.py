"""The hub's second carriage: the same frames over a WebSocket, behind a web server that ends TLS."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from central_portal.link.identity import CallerRefused
from central_portal.link.ports import Caller
from central_portal.link.settings import HubMisconfigured
from central_portal.link.streams import Stream
from shared.link.channel import SUBPROTOCOL
from shared.link.pump import StreamLost
from shared.link.terms import MESSAGE_BYTES
from shared.wire.addresses import Address

Prove = Callable[[Any, str], Awaitable[Caller]]
Serve = Callable[[Caller, Stream], Awaitable[None]]
_OPEN_WITHIN = 10.0


class WebSocketListener:
    """Listens on loopback. `prove` says whom headers and peer stand for, `session` serves one agent to its end."""

    def __init__(self, prove: Prove, session: Serve) -> None:
        self._prove, self._session = prove, session
        self._callers: dict[ServerConnection, Caller] = {}
        self._server: Server | None = None

    async def start(self, address: Address) -> int:
        """The port. Raises HubMisconfigured when it is taken."""
        try:
            self._server = await serve(
                self._serve, address.host, address.port, process_request=self._judge,
                subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None, max_size=MESSAGE_BYTES,
                open_timeout=_OPEN_WITHIN, ping_interval=15, ping_timeout=8, server_header=None,
            )  # fmt: skip
        except OSError as error:
            raise HubMisconfigured(f"The hub cannot listen on {address}: {error.strerror}.") from error
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def stop(self) -> None:
        """Closes what is left."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _judge(self, connection: ServerConnection, request: Request) -> Response | None:
        """The token before anything else; a stranger gets no WebSocket."""
        peer = f"ws:{connection.remote_address}"
        metadata = tuple((name.lower(), value) for name, value in request.headers.raw_items())
        try:
            self._callers[connection] = await self._prove(metadata, peer)
        except CallerRefused as refused:
            return connection.respond(HTTPStatus.UNAUTHORIZED, f"{refused}\n")
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        caller = self._callers.pop(connection)

        async def read() -> bytes | None:
            try:
                data = await connection.recv()
            except ConnectionClosed as error:
                if error.rcvd is not None and error.rcvd.code == 1000:
                    return None
                raise StreamLost("The WebSocket broke.") from error
            if isinstance(data, str):
                raise StreamLost("The agent sent text.")
            return data

        async def write(data: bytes) -> None:
            try:
                await connection.send(data)
            except ConnectionClosed as error:
                raise StreamLost("The WebSocket broke.") from error

        await self._session(caller, Stream(f"ws:{connection.id}", read, write))
