"""Requests to a facility's system: whatever it does, one bounded answer or one clear refusal."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from facility_agent.adapters.http import Bounds, Upstream
from shared.errors import BackendError, BackendUnavailable
from tests.waiting import free_port

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n"
GONE = "The facility's catalogue does not answer at the moment."
BAD = "The facility's catalogue gave an answer that cannot be used."


class Raw:
    """A server that answers each request with exactly these pieces, and keeps the heads that it read."""

    def __init__(self, pieces: Callable[[int], list[bytes]], *, hold: bool = False) -> None:
        self._pieces, self._hold = pieces, hold
        self.heads: list[bytes] = []
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            for piece in self._pieces(len(self.heads)):
                writer.write(piece)
                await writer.drain()
            while self._hold and await reader.read(1):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.ended.set()


@asynccontextmanager
async def upstream(
    *pieces: bytes, bounds: Bounds | None = None, hold: bool = False
) -> AsyncIterator[tuple[Upstream, Raw]]:
    raw = Raw(lambda _: list(pieces), hold=hold)
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    asked = Upstream(f"http://127.0.0.1:{port}/api", "catalogue", bounds)
    try:
        yield asked, raw
    finally:
        await asked.close()
        server.close()
        await server.wait_closed()


async def test_what_is_sent_and_what_comes_back() -> None:
    async with upstream(OK, b'{"a": [1]}\n') as (asked, raw):
        answer = await asked.send(
            "POST",
            "/v4/a%2Fb",
            query={"filter": '{"x":"é&=%2F"}'},
            json={"y": 1},
            headers={"Authorization": "Bearer t"},
        )
        assert (answer.status, await answer.json()) == (200, {"a": [1]})
        head = raw.heads[0].decode()
        assert head.startswith("POST /api/v4/a%2Fb?filter=")
        assert "%C3%A9%26%3D%252F" in head, "a query is data"
        assert "Authorization: Bearer t" in head
        assert "Accept-Encoding: identity" in head


async def refused(asked: Upstream, expected: type[BackendError], message: str) -> BackendError:
    with pytest.raises(BackendError) as error:
        await (await asked.send("GET", "/x")).json()
    assert (type(error.value), error.value.message) == (expected, message)
    assert "127.0.0.1" not in error.value.message
    return error.value


@pytest.mark.parametrize(
    ("pieces", "expected", "message"),
    [
        ([], BackendUnavailable, GONE),
        ([OK, b'{"a":'], BackendUnavailable, GONE),
        ([b"not http\r\n\r\n"], BackendUnavailable, GONE),
        ([b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 100_000 + b"\r\n\r\n"], BackendUnavailable, GONE),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"], BackendUnavailable, GONE),
        ([b"HTTP/1.1 502 Bad\r\nContent-Length: 6\r\n\r\n<html>"], BackendUnavailable, GONE),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"], BackendError, BAD),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], BackendError, BAD),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nNaN"], BackendError, BAD),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Encoding: gzip\r\n\r\n{}"], BackendError, BAD),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 4294967296\r\n\r\n[1,"], BackendError, BAD),
        ([b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 33 + b"]" * 33], BackendError, BAD),
        ([b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000], BackendError, BAD),
        ([b"HTTP/1.1 200 OK\r\n\r\n" + b'{"a":' * 500 + b"1" + b"}" * 500], BackendError, BAD),
        ([b'HTTP/1.1 200 OK\r\n\r\n"\xff\xfe"'], BackendError, BAD),
    ],
    ids=lambda value: repr(value)[:60],
)
async def test_a_useless_answer_is_said(pieces: list[bytes], expected: type[BackendError], message: str) -> None:
    async with upstream(*pieces) as (asked, _):
        await refused(asked, expected, message)


async def test_as_deep_as_allowed_is_read() -> None:
    async with upstream(b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 32 + b"]" * 32) as (asked, _):
        assert str(await (await asked.send("GET", "/x")).json()) == "[" * 32 + "]" * 32


async def test_nobody_there() -> None:
    asked = Upstream(f"http://127.0.0.1:{free_port()}", "catalogue")
    await refused(asked, BackendUnavailable, GONE)
    await asked.close()


@pytest.mark.parametrize("pieces", [[], [OK], [OK, b'{"a"']], ids=["silent", "no body", "half"])
async def test_one_that_hangs_costs_its_time_and_no_more(pieces: list[bytes]) -> None:
    async with upstream(*pieces, bounds=Bounds(seconds=0.2), hold=True) as (asked, raw):
        began = time.monotonic()
        await refused(asked, BackendUnavailable, GONE)
        assert time.monotonic() - began < 2
        async with asyncio.timeout(5):
            await raw.ended.wait()  # the connection is not kept


async def test_an_endless_body_costs_no_more_memory_than_its_bound() -> None:
    most, piece = 1024 * 1024, b"[" * 65536
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw = Raw(lambda _: [head, *([b"10000\r\n" + piece + b"\r\n"] * 4096)])
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    asked = Upstream(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "catalogue", Bounds(size=most))
    tracemalloc.start()
    try:
        await refused(asked, BackendError, BAD)
        assert tracemalloc.get_traced_memory()[1] < 8 * most
        async with asyncio.timeout(5):
            await raw.ended.wait()
    finally:
        tracemalloc.stop()
        await asked.close()
        server.close()
        await server.wait_closed()


async def test_a_redirect_takes_no_token_elsewhere() -> None:
    elsewhere = Raw(lambda _: [OK])
    other = await asyncio.start_server(elsewhere.serve, "127.0.0.1", 0)
    there = f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}/"
    moved = f"HTTP/1.1 307 Moved\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n".encode()
    async with upstream(moved) as (asked, _):
        answer = await asked.send("GET", "/x", headers={"Authorization": "Bearer secret"})
        assert answer.status == 307
    assert not elsewhere.heads
    other.close()
    await other.wait_closed()


async def test_a_cookie_is_not_kept() -> None:
    pieces = b"HTTP/1.1 200 OK\r\nSet-Cookie: who=somebody\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    async with upstream(pieces) as (asked, raw):
        await asked.send("GET", "/x")
        await asked.send("GET", "/x")
        assert b"cookie" not in raw.heads[1].lower()
