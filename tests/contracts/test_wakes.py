"""What every `Wakes` promises, on both adapters; and what Redis's death costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from central_portal.link.ports import Topic, Wakes
from central_portal.link.wakes_memory import MemoryWakes
from central_portal.link.wakes_redis import QUEUE, RedisWakes
from tests.link_parts import eventually
from tests.services import RedisServer, running_redis


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


class Heard:
    """What one listener heard."""

    def __init__(self, wakes: Wakes, topic: Topic) -> None:
        self.keys: list[str | None] = []
        self.undo = wakes.listen(topic, self.keys.append)

    @property
    def gaps(self) -> int:
        return self.keys.count(None)

    @property
    def told(self) -> list[str]:
        return [key for key in self.keys if key is not None]


@asynccontextmanager
async def two(url: str | None) -> AsyncIterator[tuple[Wakes, Wakes]]:
    """Two ends that hear each other: of two processes with Redis, of one without."""
    if url is None:
        one = MemoryWakes()
        yield one, one
        return
    first, second = RedisWakes(url), RedisWakes(url)
    ready = [Heard(wakes, Topic.ORDER) for wakes in (first, second)]
    await first.start()
    await second.start()
    try:
        await eventually(lambda: all(heard.gaps for heard in ready))
        for heard in ready:
            heard.undo()
        yield first, second
    finally:
        await first.stop()
        await second.stop()


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.needs("redis"))])
async def ends(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Wakes, Wakes]]:
    url = request.getfixturevalue("server").url if request.param == "redis" else None
    async with two(url) as pair:
        yield pair


async def test_a_hint_reaches_every_listener_of_its_topic_alone(ends: tuple[Wakes, Wakes]) -> None:
    here, there = ends
    heard = [Heard(here, Topic.FACILITY), Heard(there, Topic.FACILITY)]
    others = [Heard(there, topic) for topic in Topic if topic is not Topic.FACILITY]
    here.tell(Topic.FACILITY, "alpha")
    here.tell(Topic.FACILITY, "beta")
    await eventually(lambda: all(h.told == ["alpha", "beta"] for h in heard))
    assert all(h.keys == [] for h in others)


async def test_one_hears_oneself_once_and_at_once(ends: tuple[Wakes, Wakes]) -> None:
    here, there = ends
    mine, other = Heard(here, Topic.ORDER), Heard(there, Topic.ORDER)
    here.tell(Topic.ORDER, "alpha")
    assert mine.told == ["alpha"]
    there.tell(Topic.ORDER, "end")
    await eventually(lambda: "end" in mine.told and "end" in other.told)
    assert mine.told == ["alpha", "end"]


async def test_who_unsubscribed_hears_nothing(ends: tuple[Wakes, Wakes]) -> None:
    here, there = ends
    gone, stays = Heard(there, Topic.SETTLED), Heard(there, Topic.SETTLED)
    gone.undo()
    here.tell(Topic.SETTLED, "order-1")
    await eventually(lambda: stays.told == ["order-1"])
    assert gone.keys == []


async def test_a_listener_that_fails_disturbs_nobody(
    ends: tuple[Wakes, Wakes], caplog: pytest.LogCaptureFixture
) -> None:
    here, there = ends

    def fails(_: str | None) -> None:
        raise RuntimeError("a fault of a listener")

    there.listen(Topic.WORKSPACE, fails)
    heard = Heard(there, Topic.WORKSPACE)
    here.tell(Topic.WORKSPACE, "1/x")
    await eventually(lambda: heard.told == ["1/x"])
    assert "a listener of workspace failed" in caplog.text


async def test_a_flood_blocks_nobody(ends: tuple[Wakes, Wakes]) -> None:
    here, there = ends
    heard = Heard(there, Topic.ORDER)
    for number in range(3 * QUEUE):
        here.tell(Topic.ORDER, f"f{number}")
    here.tell(Topic.ORDER, "f0")
    await eventually(lambda: len(heard.told) >= QUEUE)


@pytest.mark.needs("redis")
async def test_who_lost_redis_is_told_to_look_again_when_it_is_back() -> None:
    with running_redis() as server:
        async with two(server.url) as (here, there):
            heard = Heard(there, Topic.FACILITY)
            server.kill()
            here.tell(Topic.FACILITY, "lost")
            server.start()
            await eventually(lambda: heard.gaps > 0, 20)
            here.tell(Topic.FACILITY, "after")
            await _repeatedly(here, heard)
            assert "lost" not in heard.told or heard.gaps


@pytest.mark.needs("redis")
async def test_a_frozen_redis_is_noticed() -> None:
    with running_redis() as server:
        async with two(server.url) as (here, there):
            heard = Heard(there, Topic.FACILITY)
            server.freeze()
            here.tell(Topic.FACILITY, "into the void")
            await asyncio.wait_for(asyncio.shield(_noticed(there)), 30)
            server.thaw()
            await eventually(lambda: heard.gaps > 0, 20)


@pytest.mark.needs("redis")
async def test_it_starts_while_redis_is_away() -> None:
    server = RedisServer()
    wakes = RedisWakes(server.url)
    heard = Heard(wakes, Topic.SESSION)
    await wakes.start()
    try:
        wakes.tell(Topic.SESSION, "here")
        assert heard.told == ["here"]
        server.start()
        await eventually(lambda: heard.gaps > 0, 20)
    finally:
        await wakes.stop()
        server.close()


@pytest.mark.needs("redis")
@pytest.mark.parametrize("data", [b"", b"no-space", b"\xff\xfe x", b"sender " + b"x" * 10_000])
async def test_what_is_no_hint_is_ignored(server: RedisServer, data: bytes) -> None:
    from redis.asyncio import Redis

    async with two(server.url) as (_, there), Redis.from_url(server.url) as redis:
        heard = Heard(there, Topic.FACILITY)
        await redis.publish("parasol:0:facility", data)
        await redis.publish("parasol:0:facility", b"stranger good")
        await eventually(lambda: heard.told == ["good"])


async def _repeatedly(here: Wakes, heard: Heard) -> None:
    """A publisher may need another attempt to notice that its connection is new."""

    def look() -> bool:
        here.tell(Topic.FACILITY, "again")
        return "again" in heard.told

    await eventually(look, 20)


async def _noticed(wakes: Wakes) -> None:
    assert isinstance(wakes, RedisWakes)
    await eventually(lambda: wakes.away, 25)
