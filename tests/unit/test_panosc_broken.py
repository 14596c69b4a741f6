"""A PaNOSC API that is broken or lies: said, bounded in time and memory, and what was known stays."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from facility_agent.adapters.catalogue.panosc import Panosc
from facility_agent.ports.catalogue import STRANGER
from facility_agent.testing.patience import eventually
from shared.catalogue import SearchQuery
from shared.commands import GetFiles
from shared.errors import BackendError, BackendUnavailable, ParasolError, Unsupported
from tests.contracts.panosc_worlds import adapter
from tests.panosc_site import Site, panosc, titles

__all__ = ["panosc"]
BAD = "The facility's catalogue gave an answer that cannot be used."
GONE = "The facility's catalogue does not answer at the moment."


def asked(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request.query_params.get("filter", "{}"))
    return found


def at(path: str, answer: Callable[[Request], Response]) -> Callable[[Request], Response | None]:
    return lambda request: answer(request) if request.url.path == path else None


async def fails(panosc: Site, backend: Panosc, expected: str) -> str:
    """The look fails with this message, everything known is still shown, and nothing is called gone."""
    before = await titles(backend)
    with pytest.raises(ParasolError) as refused:
        await backend.look()
    assert (refused.value.message, isinstance(refused.value, BackendUnavailable)) == (expected, expected == GONE)
    assert await titles(backend) == before
    assert len(before) == 6
    return str(refused.value.__cause__)


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        ("<html>sign in</html>", 200, BAD), ("<html>", 502, GONE), ("{}", 429, GONE), ("{}", 500, GONE), ("{}", 200, BAD),
        ("", 200, BAD), ("[1]", 200, BAD), ('{"error": {"message": "no"}}', 400, BAD), ('{"error": "no"}', 401, BAD),
        ("[" * 50 + "]" * 50, 200, BAD), (f'[{{"pid": "{"x" * 70_000}"}}]', 200, BAD), ("[]", 200, BAD), ("null", 200, BAD),
        ("NaN", 200, BAD), ('[{"pid": "a", "isPublic": 1}]', 200, BAD), ("\xff", 200, BAD),
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/api/Datasets", "/api/Documents"])
async def test_a_useless_list_is_refused(panosc: Site, path: str, body: str, status: int, expected: str) -> None:
    async with panosc.adapter(answer_bytes=65_536) as backend:
        await backend.look()
        panosc.api.instead = at(path, lambda request: Response(body, status))
        await fails(panosc, backend, expected)
        panosc.api.instead = lambda _: None
        await backend.look()


@pytest.mark.parametrize(
    "said", ["{}", '{"count": "3"}', '{"count": -1}', '{"count": 1e9}', '{"count": true}', "[]", "7"]
)
async def test_a_count_that_is_none_is_refused(panosc: Site, said: str) -> None:
    async with panosc.adapter() as backend:
        await backend.look()
        panosc.api.instead = at("/api/Datasets/count", lambda _: Response(said))
        await fails(panosc, backend, BAD)


@pytest.mark.parametrize("number", [0, 6, 8, 10**6])
async def test_a_count_that_lies_is_refused(panosc: Site, number: int) -> None:
    """Seven are there."""
    async with panosc.adapter() as backend:
        await backend.look()
        panosc.api.instead = at("/api/Datasets/count", lambda _: Response(json.dumps({"count": number})))
        assert f"lists 7 records and counts {number}" in await fails(panosc, backend, BAD)


async def test_skip_that_is_ignored_is_found_out(panosc: Site) -> None:
    async with panosc.adapter(page=3) as backend:
        await backend.look()

        def same(_: Request) -> Response:
            return Response(json.dumps(panosc.api.objects["Dataset"][:3]))

        panosc.api.instead = at("/api/Datasets", same)
        panosc.api.asked.clear()
        assert "bring nothing new" in await fails(panosc, backend, BAD)
        assert len(panosc.api.asked) < 40


async def test_limit_that_is_ignored_does_no_harm(panosc: Site) -> None:
    async with panosc.adapter(page=2) as backend:
        rows = panosc.api.objects["Dataset"]
        panosc.api.instead = at("/api/Datasets", lambda r: Response(json.dumps(rows[asked(r).get("skip", 0) :])))
        await backend.look()
        assert len(await titles(backend)) == 6


async def test_a_smaller_page_than_asked_for_is_no_end(panosc: Site) -> None:
    rows = panosc.api.objects["Dataset"]

    def two(request: Request) -> Response:
        skip = asked(request)["skip"]
        return Response(json.dumps(rows[skip : skip + 2]))

    async with panosc.adapter(page=500) as backend:
        panosc.api.instead = at("/api/Datasets", two)
        await backend.look()
        assert len(await titles(backend)) == 6


async def test_a_list_in_another_order_each_time_is_refused(panosc: Site) -> None:
    rows, turn = panosc.api.objects["Dataset"], 0

    def turned(request: Request) -> Response:
        nonlocal turn
        turn += 1
        skip = asked(request)["skip"]
        return Response(json.dumps([{**row, "pid": f"{row['pid']}-{turn}"} for row in rows][skip : skip + 3]))

    async with panosc.adapter(page=3) as backend:
        await backend.look()
        panosc.api.instead = at("/api/Datasets", turned)
        await fails_somehow(backend)
        assert turn < 60


async def fails_somehow(backend: Panosc) -> None:
    with pytest.raises(BackendError) as refused:
        await backend.look()
    assert refused.value.message == BAD


async def test_a_list_without_end_ends(panosc: Site) -> None:
    def more(request: Request) -> Response:
        skip = asked(request)["skip"]
        return Response(json.dumps([{"pid": f"n/{skip + n}", "isPublic": False} for n in range(200)]))

    async with panosc.adapter(page=200) as backend:
        await backend.look()
        panosc.api.instead = at("/api/Datasets", more)
        panosc.api.asked.clear()
        assert "records and more, and counts 7" in await fails(panosc, backend, BAD)
        assert len(panosc.api.asked) < 15


async def test_pages_shift_while_they_are_read(panosc: Site) -> None:
    """Before each answer one comes at the front; before every other one goes."""
    rows, coming = panosc.api.objects["Dataset"], 0
    steady = {row["title"] for row in rows if row["isPublic"]}

    def shift(request: Request) -> None:
        nonlocal coming
        if request.url.path == "/api/Datasets":
            coming += 1
            rows.insert(0, {"pid": f"new/{coming}", "title": f"new {coming}", "isPublic": True})
            if coming % 2:
                rows[:] = [row for row in rows if row["pid"] != f"new/{coming - 1}"]

    async with panosc.adapter(page=3) as backend:
        panosc.api.instead = lambda request: shift(request)  # type: ignore[func-returns-value]
        await backend.look()
        assert set(await titles(backend)) >= steady


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(panosc: Site, status: int) -> None:
    went: list[str] = []

    async def elsewhere(scope: Any, receive: Any, send: Any) -> None:
        went.append(scope["path"])
        await Response("[]")(scope, receive, send)

    from tests.standins.serving import serving

    async with serving(elsewhere) as other, panosc.adapter() as backend:
        await backend.look()
        panosc.api.instead = at("/api/Datasets", lambda _: RedirectResponse(f"{other}/api/Datasets", status))
        await fails(panosc, backend, BAD)
    assert went == []


async def test_four_gigabytes_are_not_read(tmp_path: Path) -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while b"/count" in await reader.readuntil(b"\r\n\r\n"):
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"count": 0}')
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n[")
        with suppress(ConnectionError):
            while sent < 4 * 2**30:
                sent += 65_536
                writer.write(b" " * 65_536)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    backend = adapter(base, tmp_path, answer_bytes=1_000_000)
    with pytest.raises(BackendError) as refused:
        await backend.look()
    assert "has more than 1000000 bytes" in str(refused.value.__cause__)
    assert sent < 100 * 2**20
    await backend._client.close()
    server.close()
    await server.wait_closed()


async def test_one_that_hangs_costs_its_time(panosc: Site) -> None:
    async def hanging() -> AsyncIterator[bytes]:
        yield b"["
        await asyncio.Event().wait()

    async with panosc.adapter(timeout_s=0.3) as backend:
        await backend.look()
        panosc.api.instead = at("/api/Datasets", lambda _: StreamingResponse(hanging()))
        began = time.monotonic()
        await fails(panosc, backend, GONE)
        assert time.monotonic() - began < 5


async def test_one_that_closes_half_way(tmp_path: Path) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):  # the adapter leaves at the test's end
            await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{"count": ')
        writer.close()

    server = await asyncio.start_server(half, "127.0.0.1", 0)
    async with adapter(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", tmp_path) as backend:

        async def said() -> bool:
            page = await backend.search(SearchQuery(), STRANGER)
            return (page.datasets, page.complete, page.note) == (
                (), False, "The facility's catalogue cannot be read at the moment.",
            )  # fmt: skip

        await eventually(said, "the outage is said")
    server.close()
    await server.wait_closed()


async def test_members_that_are_refused_cost_members_alone(panosc: Site) -> None:
    def refuse(request: Request) -> Response | None:
        return Response('{"error": {"message": "no"}}', 400) if "members" in str(asked(request)) else None

    async with panosc.adapter() as backend:
        panosc.api.instead = refuse
        await backend.look()
        assert len(await titles(backend)) == 6


async def test_files_that_are_broken_are_refused(panosc: Site) -> None:
    async with panosc.adapter() as backend:
        await backend.look()
        pid = (await backend.search(SearchQuery(limit=1), STRANGER)).datasets[0].pid
        for body, status, expected in (
            ("<html>", 200, BAD), ("{}", 200, BAD), ("", 500, GONE), ('{"count": 5}', 200, BAD), ('{"count": -1}', 200, BAD),
        ):  # fmt: skip
            panosc.api.instead = lambda r, b=body, s=status: Response(b, s) if "/files" in r.url.path else None  # type: ignore[misc]
            with pytest.raises(BackendError) as refused:
                await backend.files(GetFiles(pid), STRANGER)
            assert refused.value.message == expected
        panosc.api.instead = lambda r: (
            Response('{"count": 900000}') if r.url.path.endswith("/files/count") else None
        )
        with pytest.raises(Unsupported):
            await backend.files(GetFiles(pid), STRANGER)


async def test_whatever_happens_it_goes_on_looking(panosc: Site) -> None:
    panosc.api.instead = lambda _: Response("<html>", 502)
    async with adapter(panosc.base, panosc.folder) as backend:

        async def unread() -> bool:
            return "cannot be read" in (await backend.search(SearchQuery(), STRANGER)).note

        async def read() -> bool:
            page = await backend.search(SearchQuery(), STRANGER)
            return page.complete and len(page.datasets) == 6

        await eventually(unread, "the outage is said")
        panosc.api.instead = lambda _: None
        await eventually(read, "and its end")
