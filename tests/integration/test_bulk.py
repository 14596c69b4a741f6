"""Answers beside the stream, over real gRPC: the agent's way, and whatever an agent of ill will may send instead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from central_portal.link import bulk
from shared.catalogue import SearchPage
from shared.commands import Answer, Verb
from shared.facilities import Outcome
from shared.limits import LIMITS
from shared.link.channel import BULK_METHOD, METHOD
from shared.wire.commands import encode_answer
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.raw import pieces
from tests.link_parts import SmallCore, dataset, eventually
from tests.link_scene import Scene, good_token, hello, open_scene

Code = grpc.StatusCode
PIDS = [f"d{n}" for n in range(20)]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with open_scene(tmp_path) as scene:
        yield scene


class Large(SmallCore):
    """Answers with a megabyte."""

    async def handle(self, *asked: Any) -> Answer:
        await super().handle(*asked)
        return Answer(Outcome.OK, SearchPage(tuple(dataset(pid, "x" * 50 * 1024) for pid in PIDS)))


async def test_a_large_answer_arrives_beside_the_stream_or_else_by_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await scene.agent(Large())
    assert await asyncio.gather(*(scene.ask() for _ in range(4))) == [PIDS] * 4
    assert "goes by the stream" not in caplog.text
    monkeypatch.setattr(bulk, "LIMITS", replace(LIMITS, bulk_bytes=1000))
    assert await scene.ask() == PIDS
    assert "goes by the stream: The hub did not take a large answer (RESOURCE_EXHAUSTED)" in caplog.text


# --- by hand


class Hand:
    """An agent of ill will, with a session of its own."""

    def __init__(self, channel: Any, call: Any) -> None:
        self.channel, self._call = channel, call
        self.session_id = ""

    async def _heard(self) -> pb.CentreEnvelope:
        (piece,) = pieces(await self._call.read(), 1, 1)
        return pb.CentreEnvelope.FromString(piece)

    async def begin(self, name: str) -> Hand:
        await self._call.write(hello(name))
        self.session_id = (await self._heard()).welcome.session_id
        return self

    async def asked(self) -> int:
        """The ticket of the next ask."""
        async with asyncio.timeout(5):
            return (await self._heard()).command.ticket

    def chunk(self, ticket: int, data: bytes, session_id: str = "") -> bytes:
        return pb.BulkChunk(session_id=session_id or self.session_id, ticket=ticket, data=data).SerializeToString()

    def put(self, *chunks: bytes, ends: bool = True) -> Any:
        """A call that has sent these."""
        return put(self.channel, *chunks, ends=ends)


def put(channel: Any, *chunks: bytes, ends: bool = True) -> Any:
    async def send() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk
        if not ends:
            await asyncio.Event().wait()

    return channel.stream_unary(BULK_METHOD)(send())


async def became(call: Any) -> Code:
    """How the hub ended a call."""
    async with asyncio.timeout(5):
        code: Code = await call.code()
        return code


async def heard(ask: Callable[[], Any]) -> Code:
    """The hub's word: gRPC's client puts its own INTERNAL in its place when the end overtakes a write."""
    async with asyncio.timeout(5):
        while (code := await became(ask())) is Code.INTERNAL:
            pass
    return code


@asynccontextmanager
async def hand(scene: Scene, name: str = "alpha") -> AsyncIterator[Hand]:
    async with connection(scene) as channel:
        metadata = (("authorization", f"Bearer {good_token(scene, name)}"),)
        yield await Hand(channel, channel.stream_stream(METHOD)(metadata=metadata)).begin(name)


@asynccontextmanager
async def connection(scene: Scene) -> AsyncIterator[Any]:
    options = (("grpc.use_local_subchannel_pool", 1),)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{scene.hub.port}", options=options) as channel:
        yield channel


def result(ticket: int, pid: str = "good") -> bytes:
    answer = Answer(Outcome.OK, SearchPage((dataset(pid),)))
    return encode_answer(ticket, Verb.SEARCH, answer).SerializeToString()


@pytest.fixture
async def mine(scene: Scene) -> AsyncIterator[Hand]:
    async with hand(scene) as mine:
        yield mine


async def answered(mine: Hand, ask: asyncio.Task[list[str]], ticket: int) -> None:
    """Nothing has happened yet, and the right answer still counts."""
    assert not ask.done()
    data = result(ticket)
    call = mine.put(mine.chunk(ticket, data[:3]), pb.BulkChunk(data=data[3:]).SerializeToString())
    assert pb.BulkReceipt.FromString(await call).bytes == len(data)
    assert await ask == ["good"]


BAD: dict[str, tuple[Callable[[Hand, int], list[bytes]], Code]] = {
    "another ticket": (lambda me, t: [me.chunk(t + 1, result(t + 1))], Code.FAILED_PRECONDITION),
    "no ticket": (lambda me, t: [me.chunk(0, result(0))], Code.FAILED_PRECONDITION),
    "an answer to another ticket": (lambda me, t: [me.chunk(t, result(t + 1))], Code.INVALID_ARGUMENT),
    "no such session": (lambda me, t: [me.chunk(t, result(t), "0" * 32)], Code.FAILED_PRECONDITION),
    "no piece": (lambda me, t: [], Code.INVALID_ARGUMENT),
    "no message": (lambda me, t: [b"\xff"], Code.INVALID_ARGUMENT),
    "half an answer": (lambda me, t: [me.chunk(t, result(t)[:-1])], Code.INVALID_ARGUMENT),
    "a broken piece behind a good one": (lambda me, t: [me.chunk(t, result(t)), b"\xff"], Code.INVALID_ARGUMENT),
    "too much": (lambda me, t: [me.chunk(t, bytes(600)), me.chunk(t, bytes(600))], Code.RESOURCE_EXHAUSTED),
}


@pytest.mark.parametrize("bad", BAD)
async def test_what_is_no_good_answer_changes_nothing(
    scene: Scene, mine: Hand, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    monkeypatch.setattr(bulk, "LIMITS", replace(LIMITS, bulk_bytes=1000))
    ask = asyncio.create_task(scene.ask())
    ticket = await mine.asked()
    made, code = BAD[bad]
    assert await became(mine.put(*made(mine, ticket))) is code
    await answered(mine, ask, ticket)


async def test_a_sessions_answers_come_on_its_own_connection(scene: Scene, mine: Hand) -> None:
    ask = asyncio.create_task(scene.ask())
    ticket = await mine.asked()
    stolen = mine.chunk(ticket, result(ticket, "stolen"))
    async with connection(scene) as elsewhere, hand(scene, "beta") as other:
        assert await heard(lambda: put(elsewhere, stolen)) is Code.FAILED_PRECONDITION
        assert await became(put(elsewhere, ends=False)) is Code.FAILED_PRECONDITION, "not a byte is waited for"
        assert await became(other.put(stolen)) is Code.FAILED_PRECONDITION
    await answered(mine, ask, ticket)


async def test_a_late_answer_gives_its_credit_back_and_nothing_else(scene: Scene, mine: Hand) -> None:
    late = []
    for _ in range(LIMITS.credits_query + 1):
        ask = asyncio.create_task(scene.ask())
        late.append(await mine.asked())
        ask.cancel()
        await asyncio.gather(ask, return_exceptions=True)
        chunk = mine.chunk(late[-1], result(late[-1], "late"))
        assert await became(mine.put(chunk)) is Code.OK
        assert await became(mine.put(chunk)) is Code.FAILED_PRECONDITION, "once"
    ask = asyncio.create_task(scene.ask())
    await answered(mine, ask, await mine.asked())


async def test_an_answer_has_its_time(scene: Scene, mine: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "WITHIN", 0.1)
    ask = asyncio.create_task(scene.ask())
    ticket = await mine.asked()
    assert await became(mine.put(mine.chunk(ticket, b"x"), ends=False)) is Code.DEADLINE_EXCEEDED
    monkeypatch.setattr(bulk, "WITHIN", 10.0)
    await answered(mine, ask, ticket)


async def test_what_a_session_brings_at_once_is_bounded_together(
    scene: Scene, mine: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "LIMITS", replace(LIMITS, bulk_bytes=1000))
    ask = asyncio.create_task(scene.ask())
    ticket = await mine.asked()
    held = [mine.put(mine.chunk(ticket, bytes(600)), ends=False) for _ in range(2)]
    await eventually(lambda: any(call.done() for call in held))
    full, kept = sorted(held, key=lambda call: not call.done())
    assert await became(full) is Code.RESOURCE_EXHAUSTED
    assert not kept.done()
    kept.cancel()
    again = mine.put(mine.chunk(ticket, bytes(900)), mine.chunk(ticket, b"x" * 99))
    assert await became(again) is Code.INVALID_ARGUMENT, "what was given up holds no room"
    await answered(mine, ask, ticket)
