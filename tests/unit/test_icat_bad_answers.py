"""What a broken or hostile ICAT answers becomes one of the portal's errors: nothing of it is shown, and nothing waits for ever."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from facility_agent.adapters.catalogue.icat import Icat
from facility_agent.adapters.catalogue.icat_client import IcatClient
from facility_agent.adapters.catalogue.icat_open import IcatOpen
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
                writer.write(
                    said(PROPERTIES if b"properties" in line else {"sessionId": "s", "userName": "simple/root"})
                )
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    upstream = Upstream(
        f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "catalogue", Bounds(1.0, 100_000)
    )
    client = IcatClient(upstream, "anon", dict)
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
    (plain(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), BackendUnavailable),
    (plain(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"), BackendUnavailable),
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
    assert "sessionId=" not in "".join(traceback.format_exception(refused.value)), "an address may hold a session"
    assert "over again" not in refused.value.message


class Says:
    """A service account whose questions are answered by what is asked from: a text of the question → rows."""

    def __init__(self, **rows: list[Any]) -> None:
        self.rows = {"Rule": [{"Rule": {"crudFlags": "R", "what": "Facility"}}], **rows}
        self.asked = list[str]()

    async def query(self, text: str) -> list[Any]:
        self.asked.append(text)
        timeless = "IS NULL" in text
        return [] if timeless else next((rows for name, rows in self.rows.items() if f" FROM {name} " in text), [])

    async def user(self) -> str:
        return "simple/parasol"


ROOT = frozenset({"simple/root"})
GOOD = [{"Dataset": {"id": 1, "name": "<script>x</script>", "startDate": "2010-01-01T00:00:00.000Z"}}]


@pytest.mark.parametrize("rows", [
    [1], [None], [{"Investigation": {"id": 1}}], [{"Dataset": []}], [{"Dataset": {"name": "no id"}}], [{"Dataset": {"id": "1"}}],
    [{"Dataset": {"id": True}}], [{"Dataset": {"id": 10**13}}], [{"Dataset": {"id": -1}}],
    [{"Dataset": {"id": 1, "startDate": "yesterday"}}], [{"Dataset": {"id": 1, "startDate": 5}}],
    [{"Dataset": {"id": 1, "name": ["x"]}}], [{"Dataset": {"id": 1, "fileSize": -1}}], [{"Dataset": {"id": 1, "fileSize": "9"}}],
    [{"Dataset": {"id": 1, "investigation": []}}], [{"Dataset": {"id": 1, "datasetTechniques": {"a": 1}}}],
    [{"Dataset": {"id": 1, "startDate": "2010-01-01T00:00:00.000Z"}}] * 51,
    [{"Dataset": {"id": 1, "startDate": "2010-01-01T00:00:00.000Z"}}, {"Dataset": {"id": 2, "startDate": "2011-01-01T00:00:00.000Z"}}],
])  # fmt: skip
async def test_rows_that_are_no_rows_are_an_error(rows: list[Any]) -> None:
    with pytest.raises(BackendError):
        await Icat(Says(Dataset=rows), roots=ROOT).search(SearchQuery(), "simple/root")


async def test_markup_in_a_title_is_carried_as_text() -> None:
    page = await Icat(Says(Dataset=GOOD), roots=ROOT).search(SearchQuery(), "simple/root")
    assert [d.title for d in page.datasets] == ["<script>x</script>"]


@pytest.mark.parametrize("table", [
    [1], [{"Rule": 1}], [{"Rule": {"what": "Dataset"}}], [{"Rule": {"crudFlags": "X", "what": "Dataset"}}],
    [{"Rule": {"crudFlags": "R", "what": 5}}], [{"Rule": {"crudFlags": "R", "what": "Dataset", "grouping": 5}}],
])  # fmt: skip
async def test_a_rule_table_that_is_none_shows_nothing(table: list[Any]) -> None:
    says = Says(Rule=table, Dataset=GOOD)
    with pytest.raises(BackendError):
        await Icat(says, roots=ROOT).search(SearchQuery(), "simple/root")
    assert not [text for text in says.asked if "FROM Dataset" in text], "nothing was asked for without rules"


@pytest.mark.parametrize("steps", [[1], [{}], [{"PublicStep": 1}], [{"PublicStep": {"origin": "Dataset"}}]])
async def test_public_steps_that_are_none_show_nothing(steps: list[Any]) -> None:
    says = Says(PublicStep=steps, Dataset=GOOD)
    with pytest.raises(BackendError):
        await Icat(says, roots=ROOT).search(SearchQuery(), "simple/root")
    assert not [text for text in says.asked if "FROM Dataset" in text]


@pytest.mark.parametrize("numbers", [[], [1, 2], ["1"], [-1], [True], [None]])
async def test_a_count_that_is_none_opens_nothing(numbers: list[Any]) -> None:
    class Counts(Says):
        async def query(self, text: str) -> list[Any]:
            if "COUNT(" in text:
                return numbers
            return (
                ["P1"]
                if "investigation.name" in text or ".name FROM Investigation" in text
                else await super().query(text)
            )

    rules = [
        {"Rule": {"crudFlags": "R", "what": f"SELECT o FROM {entity} o WHERE o.id = 1"}}
        for entity in ("Dataset", "Investigation")
    ]
    with pytest.raises(BackendError):
        await IcatOpen(Counts(Rule=rules), "anon/anon").proposals()
