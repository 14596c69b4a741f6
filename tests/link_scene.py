"""A real hub and real agents on loopback, and a stream that a test speaks by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from central_portal.link.hub import Hub, HubSettings
from facility_agent.link.client import AgentLink, LinkSettings
from facility_agent.link.keys import load_or_create_key
from facility_agent.link.token import signed_token
from shared.catalogue import SearchPage
from shared.commands import Verb
from shared.link.channel import METHOD
from shared.wire.facilities import encode_description
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.raw import delimited, pieces
from tests.link_parts import BLANK, Enrolment, Recorder, SmallCore, search


class Scene:
    """A hub, and the agents that a test lets dial it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.enrolment, self.events = Enrolment(), Recorder()
        self.tasks: list[asyncio.Task[None]] = []
        self.hub = self.new_hub("127.0.0.1:0")

    def new_hub(self, listen: str, **changes: Any) -> Hub:
        settings = HubSettings(listen, "hub", plaintext=True, drain=0.2)
        return Hub(replace(settings, **changes), self.enrolment, self.events, self.events.queue)

    def settings(self, name: str = "alpha", **changes: Any) -> LinkSettings:
        key_file = self.folder / f"{name}.key"
        self.enrolment.keys.setdefault(name, load_or_create_key(key_file))
        hub = f"127.0.0.1:{self.hub.port}"
        mine = LinkSettings(name, hub, "hub", key_file, "store", 1, plaintext=True, first_pause=0.02)
        return replace(mine, **changes)

    def dial(self, core: SmallCore, **changes: Any) -> AgentLink:
        link = AgentLink(self.settings(core.facility_id, **changes), core, desk=core)
        self.tasks.append(asyncio.create_task(link.run()))
        return link

    async def agent(self, core: SmallCore, **changes: Any) -> AgentLink:
        """An agent that is connected: the hub said Welcome and the agent heard it."""
        up = asyncio.Event()
        link = self.dial(core, **changes)
        link.on_change = lambda connected: up.set() if connected else None
        async with asyncio.timeout(10):
            await up.wait()
        return link

    async def kill(self, index: int = -1) -> None:
        task = self.tasks.pop(index)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def ask(self, text: str = "", name: str = "alpha", within: float = 5.0) -> list[str]:
        answer = await self.hub.links.ask(name, Verb.SEARCH, search(text, name), within)
        assert isinstance(answer.payload, SearchPage)
        return [dataset.pid for dataset in answer.payload.datasets]


@asynccontextmanager
async def raw_stream(scene: Scene, token: str | None, hub: Hub | None = None) -> AsyncIterator[Any]:
    """A stream as a hostile agent would open it."""
    metadata = () if token is None else (("authorization", f"Bearer {token}"),)
    async with grpc.aio.insecure_channel(
        f"127.0.0.1:{(hub or scene.hub).port}",
        options=(("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)),
    ) as channel:
        call = channel.stream_stream(METHOD)(metadata=metadata)  # type: ignore[call-arg]
        yield call
        call.cancel()


def good_token(scene: Scene, name: str = "alpha") -> str:
    scene.settings(name)

    return signed_token(scene.enrolment.keys[name], name, "hub", time.time())


def frame(*envelopes: pb.AgentEnvelope) -> bytes:
    return b"".join(delimited(1, envelope.SerializeToString()) for envelope in envelopes)


def hello(name: str = "alpha", described_as: str | None = None) -> bytes:
    described = encode_description(replace(BLANK, facility_id=described_as or name))
    word = pb.Hello(facility_id=name, version_min=1, version_max=1, description=described)
    return frame(pb.AgentEnvelope(hello=word))


async def shake_hands(call: Any) -> int:
    """Says Hello by hand and gives the epoch of the Welcome."""
    await call.write(hello())
    (piece,) = pieces(await call.read(), 1, 1)
    return pb.CentreEnvelope.FromString(piece).welcome.epoch


async def ending(call: Any) -> grpc.StatusCode:
    """How the hub ended a stream, whatever it said before."""
    async with asyncio.timeout(10):
        try:
            while (await call.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
                pass
        except grpc.aio.AioRpcError as error:
            return error.code()
        return await call.code()


@asynccontextmanager
async def open_scene(folder: Path, kind: type[Scene] = Scene) -> AsyncIterator[Scene]:
    """A scene with a running hub; at its end every `connected` must have had its `disconnected`."""
    scene = kind(folder)
    await scene.hub.start()
    try:
        yield scene
    finally:
        while scene.tasks:
            await scene.kill()
        await scene.hub.stop()
    connected, disconnected = scene.events.of("connected"), scene.events.of("disconnected")
    assert sorted(c[1:3] for c in connected) == sorted(d[1:3] for d in disconnected), "each exactly once"
