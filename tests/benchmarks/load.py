"""A light HTTP/1.1 load generator: keep-alive connections that send one fixed request again and again."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

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


async def drive(to: int | Path, payload: bytes, count: int, connections: int) -> Load:
    """Send `payload` `count` times over `connections` connections to a port of 127.0.0.1 or a Unix socket."""
    loop = asyncio.get_running_loop()
    load, budget = Load(), [count]
    finished = [loop.create_future() for _ in range(connections)]
    for done in finished:
        made = lambda done=done: _Client(payload, load, budget, done)  # noqa: E731
        if isinstance(to, Path):
            await loop.create_unix_connection(made, str(to))
        else:
            await loop.create_connection(made, "127.0.0.1", to)
    await asyncio.wait_for(asyncio.gather(*finished), timeout=120)
    return load


def connected(to: int | Path) -> socket.socket:
    """A blocking connection to a port of 127.0.0.1 or to a Unix socket."""
    if isinstance(to, Path):
        made = socket.socket(socket.AF_UNIX)
        made.connect(str(to))
        return made
    made = socket.create_connection(("127.0.0.1", to))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def download(to: int | Path, payload: bytes, count: int) -> float:
    """Seconds from one request to the last of `count` bytes of its body."""
    buffer = bytearray(1024 * 1024)
    with connected(to) as connection:
        begun = time.perf_counter()
        connection.sendall(payload)
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        assert head.startswith(b"HTTP/1.1 200 "), head[:100]
        got = len(head.partition(b"\r\n\r\n")[2])
        while got < count:
            more = connection.recv_into(buffer)
            assert more, f"ended after {got} of {count} bytes"
            got += more
        return time.perf_counter() - begun


def round_trips(to: int | Path, handshake: bytes, count: int) -> list[float]:
    """Seconds of each of `count` echoes of a 32-byte WebSocket message."""
    mask, sent = b"\1\2\3\4", bytes(range(32))
    frame = b"\x82\xa0" + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(sent))
    took = []
    with connected(to) as connection:
        connection.sendall(handshake)
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        assert head.startswith(b"HTTP/1.1 101 "), head[:100]
        for _ in range(count):
            begun = time.perf_counter()
            connection.sendall(frame)
            back = b""
            while len(back) < 34:
                back += connection.recv(65536)
            took.append(time.perf_counter() - begun)
            assert back == b"\x82\x20" + sent
    return took
