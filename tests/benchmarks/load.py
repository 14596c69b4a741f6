"""A light HTTP/1.1 load generator: keep-alive connections that send one fixed request again and again."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import httptools


@dataclass
class Load:
    """What came back: latencies in seconds, and how many answers had the expected status."""

    latencies: list[float] = field(default_factory=list)
    good: int = 0
    bad: int = 0
    bytes: int = 0


class _Client(asyncio.Protocol):
    def __init__(self, request: bytes, load: Load, budget: list[int], done: asyncio.Future[None]) -> None:
        self._request, self._load, self._budget, self._done = request, load, budget, done
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        if self._budget[0] <= 0:
            self._transport.close()
            return
        self._budget[0] -= 1
        self._parser = httptools.HttpResponseParser(self)
        self._started = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._load.bytes += len(data)
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._load.latencies.append(time.perf_counter() - self._started)
        if self._parser.get_status_code() == 200:
            self._load.good += 1
        else:
            self._load.bad += 1
        asyncio.get_running_loop().call_soon(self._send)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result(None)


def request(
    method: str, path: str, host: str, body: bytes = b"", headers: tuple[tuple[str, str], ...] = ()
) -> bytes:
    """The bytes of one request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers)]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def drive(port: int, payload: bytes, count: int, connections: int) -> Load:
    """Send `payload` `count` times over `connections` connections to 127.0.0.1:`port`."""
    loop = asyncio.get_running_loop()
    load, budget = Load(), [count]
    finished = [loop.create_future() for _ in range(connections)]
    for done in finished:
        await loop.create_connection(lambda done=done: _Client(payload, load, budget, done), "127.0.0.1", port)
    await asyncio.wait_for(asyncio.gather(*finished), timeout=120)
    return load
