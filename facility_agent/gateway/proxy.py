"""The way into a workspace once its door is open: HTTP and WebSocket to its Unix socket, streamed both ways."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from facility_agent.gateway.headers import to_browser, to_workspace
from facility_agent.ports.compute import Endpoint

log = logging.getLogger(__name__)
SESSIONS = 256
CHUNK = 256 * 1024
CONNECT_S = 10.0
FRAME = 64 * 2**20


class UpstreamGone(Exception):
    """The workspace does not answer on its socket."""


class Upstreams:
    """One aiohttp session per workspace socket, the least used closed."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[Path, aiohttp.ClientSession] = OrderedDict()

    def to(self, socket: Path) -> aiohttp.ClientSession:
        """The session to a socket."""
        session = self._sessions.get(socket)
        if session is None or session.closed:
            session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(socket), limit=0, keepalive_timeout=30),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                read_bufsize=CHUNK,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
                skip_auto_headers=("accept", "accept-encoding", "user-agent", "content-type"),
            )
            self._sessions[socket] = session
            if len(self._sessions) > SESSIONS:
                _, old = self._sessions.popitem(last=False)
                asyncio.get_running_loop().create_task(old.close())
        self._sessions.move_to_end(socket)
        return session

    async def close(self) -> None:
        """Close all."""
        for session in self._sessions.values():
            await session.close()


def target(scope: Any) -> URL:
    """The address to ask of the workspace: path and query as the browser sent them."""
    raw = scope.get("raw_path") or scope["path"].encode()
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    return URL("http://workspace" + (raw + query).decode("latin-1"), encoded=True)


async def http(upstreams: Upstreams, endpoint: Endpoint, scheme: str, scope: Any, receive: Any, send: Any) -> None:
    """Pass one request on and its answer back. Raises UpstreamGone before anything was sent to the browser."""
    incoming = dict(scope["headers"])
    host = incoming.get(b"host", b"").decode("latin-1")
    headers = to_workspace(scope["headers"], endpoint.headers, host, scheme)
    has_body = b"content-length" in incoming or b"transfer-encoding" in incoming
    if b"content-length" in incoming:
        headers.append((b"content-length", incoming[b"content-length"]))
    gone = asyncio.Event()
    body = _body(receive, gone) if has_body else None
    started = False
    try:
        async with upstreams.to(endpoint.socket).request(
            scope["method"], target(scope), headers=[(n.decode("latin-1"), v.decode("latin-1")) for n, v in headers],
            data=body, allow_redirects=False,
        ) as answer:  # fmt: skip
            started = True
            await send(
                {"type": "http.response.start", "status": answer.status, "headers": to_browser(answer.raw_headers)}
            )
            async for chunk in answer.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        if started or gone.is_set():
            log.info("a workspace's answer ended early: %s", type(error).__name__)
            raise
        raise UpstreamGone from error


async def _body(receive: Any, gone: asyncio.Event) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            gone.set()
            raise ConnectionResetError("the browser went away")
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return


async def websocket(
    upstreams: Upstreams, endpoint: Endpoint, scheme: str, cut: asyncio.Event, scope: Any, receive: Any, send: Any
) -> None:
    """Pass a WebSocket on until either side closes, or `cut` is set (4401). Raises UpstreamGone before it is accepted."""
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    headers = to_workspace(scope["headers"], endpoint.headers, host, scheme)
    try:
        upstream = await upstreams.to(endpoint.socket).ws_connect(
            target(scope), headers=[(n.decode("latin-1"), v.decode("latin-1")) for n, v in headers],
            protocols=scope.get("subprotocols", ()), max_msg_size=FRAME, compress=0, autoping=True,
        )  # fmt: skip
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise UpstreamGone from error
    async with upstream:
        await receive()  # websocket.connect
        await send({"type": "websocket.accept", "subprotocol": upstream.protocol})
        tasks = [
            asyncio.create_task(_from_workspace(upstream, send)),
            asyncio.create_task(_from_browser(upstream, receive)),
            asyncio.create_task(cut.wait()),
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        was_cut, browser_left = cut.is_set(), tasks[1].done()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if not browser_left or was_cut:
            code = 4401 if was_cut else _code(upstream.close_code)
            try:
                await send({"type": "websocket.close", "code": code})
            except RuntimeError:
                return  # the browser closed at the same moment


def _code(code: int | None) -> int:
    return code if code is not None and (code in (1000, 1001, 1003, 1008, 1011) or 3000 <= code < 5000) else 1011


async def _from_workspace(upstream: aiohttp.ClientWebSocketResponse, send: Any) -> None:
    async for message in upstream:
        if message.type is aiohttp.WSMsgType.BINARY:
            await send({"type": "websocket.send", "bytes": message.data})
        elif message.type is aiohttp.WSMsgType.TEXT:
            await send({"type": "websocket.send", "text": message.data})


async def _from_browser(upstream: aiohttp.ClientWebSocketResponse, receive: Any) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            await upstream.close(code=_code(message.get("code")))
            return
        if message.get("bytes") is not None:
            await upstream.send_bytes(message["bytes"])
        elif message.get("text") is not None:
            await upstream.send_str(message["text"])
