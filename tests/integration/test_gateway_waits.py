"""A second gateway of the same facility, in this process: nothing it waits for is waited for endlessly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from facility_agent.config import load
from facility_agent.gateway import browser, front, upstreams
from facility_agent.gateway.app import Gateway
from facility_agent.gateway.settings import gateway_settings
from facility_agent.socket.client import DoorkeeperClient
from tests.integration.gateway_browser import head
from tests.integration.whole_facility import WholeFacility
from tests.waiting import until

pytestmark = pytest.mark.needs("ordinary-user")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Second:
    """Its port, and the gateway itself."""

    def __init__(self, gateway: Gateway, port: int) -> None:
        self.gateway, self.port = gateway, port
        self._open: list[asyncio.StreamWriter] = []

    async def connect(self) -> Streams:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._open.append(writer)
        return reader, writer

    async def leave(self) -> None:
        for writer in self._open:
            writer.close()


@pytest.fixture
async def second(gate: WholeFacility, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Second]:
    monkeypatch.setattr(front, "SWEEP_S", 0.02)
    settings = gateway_settings(load(gate.folder / "agent.toml"))
    client = DoorkeeperClient(settings.socket, settings.token_file)
    gateway, state = Gateway(settings, client), ServerState()
    config = uvicorn.Config(gateway.app, http="httptools", ws="none", lifespan="off", log_config=None)
    config.load()

    def accept() -> Any:
        return gateway.front.accept(config=config, server_state=state, app_state={}, _loop=None)

    server = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0)
    watching = asyncio.create_task(gateway.watch())
    made = Second(gateway, server.sockets[0].getsockname()[1])
    yield made
    await made.leave()
    server.close()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    gateway.front.close()
    await client.close()
    for connection in tuple(state.connections):
        connection.shutdown()
    await soon(lambda: not state.connections, "all connections are closed")


async def soon(look: Callable[[], object], what: str) -> None:
    await asyncio.to_thread(until, look, what, 10)


async def all_of(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        return await reader.read()


async def is_cut(reader: asyncio.StreamReader) -> bool:
    """Whether the connection ends without a word."""
    try:
        return await all_of(reader) == b""
    except ConnectionError:
        return True


@pytest.fixture(scope="module")
def raw(gate: WholeFacility) -> tuple[str, str]:
    workspace = gate.launch(program="raw")
    return workspace, gate.admit(workspace)


async def test_a_cookie_of_one_gateway_opens_at_another(
    gate: WholeFacility, raw: tuple[str, str], second: Second
) -> None:
    reader, writer = await second.connect()
    writer.write(head(gate, *raw, "Connection: close"))
    assert (await all_of(reader)).endswith(b"hello")


@pytest.mark.parametrize("sent", [b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_a_head_that_does_not_come_is_refused(
    second: Second, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(browser, "HEAD_S", 0.1)
    reader, writer = await second.connect()
    writer.write(sent)
    assert (await all_of(reader)).startswith(b"HTTP/1.1 408 ")


async def test_a_connection_that_says_nothing_is_closed(second: Second, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "HEAD_S", 0.1)
    reader, _ = await second.connect()
    assert await is_cut(reader)


async def test_a_body_that_does_not_come_ends_the_request(
    gate: WholeFacility, raw: tuple[str, str], second: Second, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "BODY_S", 0.1)
    reader, writer = await second.connect()
    writer.write(head(gate, *raw, "Content-Length: 10", first="POST /never HTTP/1.1") + b"half")
    assert await is_cut(reader)
    assert not second.gateway.front.browsers


async def test_a_workspace_that_takes_no_more_ends_the_request(
    gate: WholeFacility, raw: tuple[str, str], second: Second, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "STUCK_S", 0.3)
    _, writer = await second.connect()
    writer.write(head(gate, *raw, "Content-Length: 50000000", first="POST /never HTTP/1.1"))
    writer.write(bytes(50_000_000))
    await soon(lambda: second.gateway.front.browsers, "the request is there")
    await soon(lambda: not second.gateway.front.browsers, "the request was ended")


async def test_a_client_is_told_to_send_its_body(
    gate: WholeFacility, raw: tuple[str, str], second: Second
) -> None:
    reader, writer = await second.connect()
    writer.write(head(gate, *raw, "Content-Length: 2", "Expect: 100-continue", first="POST /p HTTP/1.1"))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"


async def test_a_connection_to_a_workspace_waits_for_a_while_only(
    gate: WholeFacility, raw: tuple[str, str], second: Second, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = await second.connect()
    for _ in range(3):
        writer.write(head(gate, *raw))
        await reader.readuntil(b"hello")
    waiting = second.gateway.front.upstreams
    assert [len(each) for each in waiting._idle.values()] == [1], "one connection served all three"
    monkeypatch.setattr(upstreams, "IDLE_S", 0.0)
    await soon(lambda: not waiting._idle, "the connection was closed")


async def test_a_request_that_met_a_closing_connection_is_sent_again_if_it_may_be(
    gate: WholeFacility, raw: tuple[str, str], second: Second
) -> None:
    reader, writer = await second.connect()
    for first, answer in (("GET /", b"hello"), ("GET /fresh", b"hello"), ("POST /fresh", b"does not answer")):
        writer.write(head(gate, *raw, first=f"{first} HTTP/1.1"))
        async with asyncio.timeout(10):
            await reader.readuntil(answer)


async def test_a_page_that_takes_too_long_is_ended(
    gate: WholeFacility, second: Second, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "LENT_S", 0.1)
    reader, writer = await second.connect()
    lines = ("POST /umbrella/backchannel HTTP/1.1", f"Host: {gate.host}", "Content-Length: 10")
    form = "Content-Type: application/x-www-form-urlencoded"
    writer.write("\r\n".join([*lines, form, "", "half"]).encode())
    assert await is_cut(reader)
    await soon(lambda: not second.gateway.front.lent, "it is forgotten")


async def test_a_workspace_that_is_gone_is_told_and_the_connection_goes_on(
    gate: WholeFacility, raw: tuple[str, str], second: Second
) -> None:
    workspace = gate.launch(program="raw")
    gone, still = (workspace, gate.admit(workspace)), raw
    reader, writer = await second.connect()
    writer.write(head(gate, *gone))
    await reader.readuntil(b"hello")
    await asyncio.to_thread(gate.endpoint(workspace).socket.unlink)
    (waiting,) = second.gateway.front.upstreams._idle.values()
    for idle in tuple(waiting):
        idle.transport.abort()
    writer.write(head(gate, *gone))
    await reader.readuntil(b"does not answer")
    writer.write(head(gate, *still))
    async with asyncio.timeout(10):
        await reader.readuntil(b"hello")


async def test_a_form_larger_than_one_read_reaches_the_gateways_pages(gate: WholeFacility, second: Second) -> None:
    reader, writer = await second.connect()
    lines = (
        "POST /confirm HTTP/1.1",
        f"Host: {gate.host}",
        f"Origin: http://{gate.host}",
        "Content-Length: 300000",
    )
    writer.write("\r\n".join([*lines, "", ""]).encode() + bytes(300_000))
    assert (await all_of(reader)).startswith(b"HTTP/1.1 413 ")
    reader, writer = await second.connect()
    form = ("POST /umbrella/backchannel HTTP/1.1", f"Host: {gate.host}", "Content-Length: 60000")
    kind = "Content-Type: application/x-www-form-urlencoded"
    writer.write("\r\n".join([*form, kind, "", ""]).encode() + b"logout_token=" + b"x" * 59_987)
    assert (await all_of(reader)).startswith(b"HTTP/1.1 400 ")


async def test_beyond_its_bound_the_gateway_says_so(
    gate: WholeFacility, raw: tuple[str, str], second: Second
) -> None:
    second.gateway.front.most = 1
    reader, writer = await second.connect()
    writer.write(head(gate, *raw))
    await reader.readuntil(b"hello")
    refused, _ = await second.connect()
    assert (await all_of(refused)).startswith(b"HTTP/1.1 503 ")
    writer.write(head(gate, *raw))
    await reader.readuntil(b"hello")
