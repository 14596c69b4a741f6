"""The second carriage: the same sessions over a WebSocket, let in by the same tokens."""

from __future__ import annotations

import asyncio
import gc
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from central_portal.link.hub import HubMisconfigured, HubSettings
from facility_agent.link.keys import load_or_create_key
from facility_agent.link.token import signed_token
from facility_agent.link.websocket import BROKEN
from shared.errors import FacilityUnavailable
from shared.link.channel import SUBPROTOCOL
from tests.link_parts import SmallCore, eventually
from tests.link_scene import Scene, good_token, hello


class WebSockets(Scene):
    """A hub that takes WebSockets too, and agents that use nothing else."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.hub = self.new_hub("127.0.0.1:0", websocket_listen="127.0.0.1:0")

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.hub.websocket_port}/link"

    async def by_websocket(self, core: SmallCore) -> Any:
        self.settings(core.facility_id)
        return await self.agent(core, hub=self.url)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[WebSockets]:
    scene = WebSockets(tmp_path)
    await scene.hub.start()
    yield scene
    while scene.tasks:
        await scene.kill()
    await scene.hub.stop()


async def test_queries_orders_and_events_travel_as_over_grpc(scene: WebSockets) -> None:
    core = SmallCore()
    await scene.by_websocket(core)
    assert await asyncio.gather(*(scene.ask(f"d{n}") for n in range(50))) == [[f"d{n}"] for n in range(50)]
    order_id = str(uuid.uuid4())
    scene.events.queue.add(order_id)
    scene.hub.links.deliver("alpha")
    ((_, facility, epoch, settled, answer),) = await scene.events.until("settled")
    assert (facility, epoch, settled) == ("alpha", 1, order_id)
    assert answer.payload.workspace_id == order_id
    core.tell(core.description())
    await scene.events.until("described")


async def test_an_agent_comes_back_after_its_socket_broke(scene: WebSockets) -> None:
    await scene.by_websocket(SmallCore())
    for socket in tuple(scene.hub._websockets._server.connections):  # type: ignore[union-attr]
        socket.transport.abort()
    await scene.events.until("disconnected")
    await scene.events.until("connected", 2)
    assert await scene.ask("again") == ["again"]


async def test_who_proves_itself_and_opens_no_socket_leaves_nothing(scene: WebSockets) -> None:
    head = f"GET /link HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {good_token(scene)}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", scene.hub.websocket_port)
    writer.write(head.encode())
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 426"), "the token was good, the request is no WebSocket's"
    await eventually(lambda: gc.collect() >= 0 and not scene.hub._websockets._callers)
    assert scene.events.seen == []


async def test_a_session_by_websocket_and_one_by_grpc_are_alike(scene: WebSockets) -> None:
    await scene.by_websocket(SmallCore())
    await scene.agent(SmallCore(), first_pause=30.0)
    await scene.events.until("disconnected")
    assert await scene.ask("newest") == ["newest"]
    assert [c[2] for c in scene.events.of("connected")] == [1, 2]


@pytest.mark.parametrize("token", ["none", "garbage", "old", "another hub", "another key", "used"])
async def test_strangers_get_no_websocket(scene: WebSockets, token: str) -> None:
    good, key = good_token(scene), scene.enrolment.keys["alpha"]
    made = {
        "garbage": "x.y.z", "old": signed_token(key, "alpha", "hub", time.time() - 600),
        "another hub": signed_token(key, "alpha", "elsewhere", time.time()), "used": good,
        "another key": signed_token(load_or_create_key(scene.folder / "thief.key"), "alpha", "hub", time.time()),
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {made[token]}"} if token != "none" else {}
    if token == "used":
        async with connect(scene.url, additional_headers=headers, subprotocols=[SUBPROTOCOL]):  # type: ignore[list-item]
            pass
    with pytest.raises(InvalidStatus) as refused:
        await connect(scene.url, additional_headers=headers, subprotocols=[SUBPROTOCOL])  # type: ignore[list-item]
    assert refused.value.response.status_code == 401
    assert scene.events.of("connected") == []
    with pytest.raises(FacilityUnavailable):
        await scene.ask()


async def test_text_and_rubbish_end_the_session_alone(scene: WebSockets) -> None:
    await scene.agent(SmallCore("beta"))
    for said in ("text", b"\xff\xff", b"\0" * 4_000_000):
        headers = {"Authorization": f"Bearer {good_token(scene)}"}
        socket = await connect(scene.url, additional_headers=headers, subprotocols=[SUBPROTOCOL])  # type: ignore[list-item]
        await socket.send(hello())
        await socket.recv()
        with suppress(*BROKEN):
            await socket.send(said)
            async for _ in socket:
                pass
        async with asyncio.timeout(5):
            await socket.wait_closed()
    await eventually(lambda: not scene.hub.links.online("alpha"))
    assert await scene.ask("fine", "beta") == ["fine"]


async def test_an_agent_that_is_refused_waits_and_says_why(scene: WebSockets) -> None:
    core = SmallCore()
    scene.settings()
    del scene.enrolment.keys["alpha"]
    settings = scene.settings("beta")
    scene.enrolment.keys.pop("beta")
    link = scene.dial(core, hub=scene.url, key_file=settings.key_file, refused_pause=30.0)
    scene.enrolment.keys.clear()
    await eventually(lambda: link.ending is not None)
    assert link.ending is not None
    assert "refused the agent's token" in link.ending.message
    assert scene.events.of("connected") == []


def test_it_listens_on_loopback_only() -> None:
    for address, says in (("0.0.0.0:7445", "loopback"), ("nonsense", "host:port")):
        with pytest.raises(HubMisconfigured, match=says):
            HubSettings("127.0.0.1:0", "hub", plaintext=True, websocket_listen=address).websocket_address()
