"""What a broken or hostile agent may write: each costs at most its own stream, once."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import Any

import grpc
import grpc.aio

from facility_agent.link.keys import load_or_create_key
from facility_agent.link.token import signed_token
from shared.link.channel import METHOD
from shared.link.terms import MESSAGE_BYTES
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.raw import delimited, pieces
from tests.chaos.faults import fault
from tests.chaos.site import Site
from tests.chaos.world import POISON, World
from tests.link_scene import frame, hello

_OPTIONS = (("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1))
Bytes = Callable[[int], bytes]


def _raw(epoch: int, field: int, content: bytes) -> bytes:
    """An envelope of this epoch with one more field, whatever is in it."""
    tag, sizes, left = bytes((field << 3 & 0x7F | 2 | 0x80, field >> 4)), b"", len(content)
    while left > 0x7F:
        sizes, left = sizes + bytes((left & 0x7F | 0x80,)), left >> 7
    return delimited(1, pb.AgentEnvelope(epoch=epoch).SerializeToString() + tag + sizes + bytes((left,)) + content)


POISONS: dict[str, Bytes] = {
    "a message of exactly the limit": lambda epoch: _raw(epoch, 30, b"x" * (MESSAGE_BYTES - 20)),
    "a message a byte beyond the limit": lambda _: b"\x0a" + b"x" * MESSAGE_BYTES,
    "a message of 20 MB": lambda _: b"\x0a" + b"x" * 20_000_000,
    "a million empty envelopes": lambda _: b"\x0a\x00" * 1_000_000,
    "noise": lambda _: os.urandom(4000),
    "text that is not UTF-8": lambda epoch: _raw(epoch, 25, b"\x0a\x04\xff\xfe\xfd\xfc"),
    "a body that nobody knows": lambda epoch: _raw(epoch, 39, b"what?"),
    "a critical extension that nobody knows": lambda epoch: frame(pb.AgentEnvelope(epoch=epoch, critical=["x-future"])),
    "results of orders that nobody gave": lambda epoch: frame(
        *(pb.AgentEnvelope(epoch=epoch, order_result=pb.OrderResult(order_id=f"none-{n}", outcome="OK")) for n in range(60))
    ),
}  # fmt: skip


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """The one that gRPC knows in this process: it bears no second one."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


@asynccontextmanager
async def _session(world: World, port: int) -> Any:
    """(stream, epoch) as the facility that is there for this."""
    key = load_or_create_key(world.folder / "poison.key")
    token = signed_token(key, POISON, "parasol-hub", time.time())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=_OPTIONS) as channel:
        call = channel.stream_stream(METHOD)(metadata=(("authorization", f"Bearer {token}"),))  # type: ignore[call-arg]
        await call.write(hello(POISON))
        (piece,) = pieces(await call.read(), 1, 1)
        welcome = pb.CentreEnvelope.FromString(piece)
        assert welcome.HasField("welcome"), welcome
        yield call, welcome.epoch
        call.cancel()


async def _swallowed(world: World, port: int, poison: Bytes) -> None:
    """Written, answered or the stream's end, and another session opens."""
    async with asyncio.timeout(20), _session(world, port) as (call, epoch):
        with suppress(grpc.aio.AioRpcError, TimeoutError):
            async with asyncio.timeout(1.0):
                await call.write(poison(epoch))
                while await call.read() is not grpc.aio.EOF:  # type: ignore[attr-defined]
                    pass
    async with asyncio.timeout(20), _session(world, port):
        pass


def _poison(name: str, poison: Bytes) -> None:
    @fault("F22", name)
    def act(world: World, site: Site) -> None:
        hub = world.hub_of(site)
        epochs = site.epochs()
        asyncio.run_coroutine_threadsafe(_swallowed(world, world.hub_ports[hub.name], poison), _loop()).result(60)
        assert site.epochs() == epochs, "the others' sessions go on"


for _name, _bytes in POISONS.items():
    _poison(_name, _bytes)
