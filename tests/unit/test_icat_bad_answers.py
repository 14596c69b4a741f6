"""What a broken or hostile ICAT answers becomes one of the portal's errors: nothing of it is shown, and nothing waits for ever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from facility_agent.adapters.catalogue.icat import Icat
from facility_agent.adapters.catalogue.icat_client import IcatClient
from facility_agent.adapters.http import Bounds, Upstream
from shared.catalogue import SearchQuery
from shared.errors import BackendError, BackendUnavailable

PROPERTIES = {"lifetimeMinutes": 120, "authenticators": [{"mnemonic": "anon", "keys": []}]}
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
Writes = Callable[[asyncio.StreamWriter], Awaitable[None]]


def whole(body: bytes, status: bytes = b"200 OK") -> bytes:
    """A complete answer."""
    return b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def said(value: Any) -> bytes:
    """A complete answer in JSON."""
    return whole(json.dumps(value).encode())


@asynccontextmanager
async def answering(rows: Writes) -> AsyncIterator[IcatClient]:
    """A client of a server that signs in as it should and answers queries with `rows`."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = (await reader.readuntil(b"\r\n\r\n")).partition(b" HTTP/")[0]
            if b"entityManager" in line:
                await rows(writer)
            else:
                writer.write(said(PROPERTIES if b"properties" in line else {"sessionId": "s"}))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    upstream = Upstream(
        f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "catalogue", Bounds(1.0, 100_000)
    )
    client = IcatClient(upstream, "anon", {})
    try:
        yield client
    finally:
        await client.close()
        server.close()


def plain(answer: bytes) -> Writes:
    """Writes this and closes."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return write


async def hang(_: asyncio.StreamWriter) -> None:
    """Says nothing for longer than anybody waits."""
    await asyncio.Event().wait()


@pytest.mark.parametrize(("rows", "expected"), [
    (plain(whole(b"<html>Welcome to our proxy</html>")), BackendError),
    (plain(whole(b"<html>502</html>", b"502 Bad Gateway")), BackendUnavailable),
    (plain(whole(b'{"code":"INTERNAL","message":"ORA-00942 at 10.0.0.7"}', b"500 Internal Server Error")), BackendUnavailable),
    (plain(whole(b'{"code":"INSUFFICIENT_PRIVILEGES","message":"no"}', b"403 Forbidden")), BackendError),
    (plain(whole(b'{"code":"SESSION","message":"over again"}', b"403 Forbidden")), BackendError),
    (plain(whole(b'{"code":"VALIDATION","message":"more than 10000"}', b"412 Precondition Failed")), BackendError),
    (plain(whole(b'{"message":"no code"}', b"403 Forbidden")), BackendError),
    (plain(whole(b"", b"302 Found")), BackendError),
    (plain(OK + b"Content-Length: 4294967296\r\n\r\n[" + b" " * 1000), BackendError),
    (plain(OK + b"Transfer-Encoding: chunked\r\n\r\n" + (b"fffe\r\n" + b" " * 0xFFFE + b"\r\n") * 4), BackendError),
    (plain(OK + b"Content-Length: 100\r\n\r\n[1,"), BackendUnavailable),
    (plain(b""), BackendUnavailable),
    (plain(OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n[]"), BackendError),
    (plain(said({"a": "list?"})), BackendError),
    (plain(whole(b"[" * 5000 + b"]" * 5000)), BackendError),
    (hang, BackendUnavailable),
])  # fmt: skip
async def test_a_bad_answer_is_one_error(rows: Writes, expected: type[BackendError]) -> None:
    async with answering(rows) as client:
        with pytest.raises(BackendError) as refused:
            await client.query("SELECT u FROM User u")
    assert isinstance(refused.value, expected)
    assert "10.0.0.7" not in refused.value.message
    assert "over again" not in refused.value.message


@pytest.mark.parametrize("rows", [
    [1], [None], [{"Investigation": {"id": 1}}], [{"Dataset": []}], [{"Dataset": {"name": "no id"}}], [{"Dataset": {"id": "1"}}],
    [{"Dataset": {"id": True}}], [{"Dataset": {"id": 10**13}}], [{"Dataset": {"id": -1}}],
    [{"Dataset": {"id": 1, "startDate": "yesterday"}}], [{"Dataset": {"id": 1, "startDate": 5}}],
    [{"Dataset": {"id": 1, "name": ["x"]}}], [{"Dataset": {"id": 1, "fileSize": -1}}], [{"Dataset": {"id": 1, "fileSize": "9"}}],
    [{"Dataset": {"id": 1, "investigation": []}}], [{"Dataset": {"id": 1, "datasetTechniques": {"a": 1}}}],
    [{"Dataset": {"id": 1, "startDate": "2010-01-01T00:00:00.000Z"}}] * 51,
])  # fmt: skip
async def test_rows_that_are_no_rows_are_an_error(rows: list[Any]) -> None:
    async def ask(text: str) -> list[Any]:
        return rows if "FROM Dataset" in text and "IS NOT NULL" in text else []

    adapter = Icat(ask, roots=frozenset({"simple/root"}))
    with pytest.raises(BackendError):
        await adapter.search(SearchQuery(), "simple/root")


@pytest.mark.parametrize("table", [
    [1], [{"Rule": 1}], [{"Rule": {"what": "Dataset"}}], [{"Rule": {"crudFlags": "X", "what": "Dataset"}}],
    [{"Rule": {"crudFlags": "R", "what": 5}}], [{"Rule": {"crudFlags": "R", "what": "Dataset", "grouping": 5}}],
])  # fmt: skip
async def test_a_rule_table_that_is_none_shows_nothing(table: list[Any]) -> None:
    asked = list[str]()

    async def ask(text: str) -> list[Any]:
        asked.append(text)
        return table if "FROM Rule" in text else []

    with pytest.raises(BackendError):
        await Icat(ask).search(SearchQuery(), "db/jdoe")
    assert not [text for text in asked if "FROM Dataset" in text], "nothing was asked for without rules"


async def test_markup_in_a_title_is_carried_as_text() -> None:
    async def ask(text: str) -> list[Any]:
        return [{"Dataset": {"id": 1, "name": "<script>x</script>"}}] if "IS NULL" in text else []

    page = await Icat(ask, anyone="simple/root", roots=frozenset({"simple/root"})).search(
        SearchQuery(), "simple/root"
    )
    assert [d.title for d in page.datasets] == ["<script>x</script>"]
