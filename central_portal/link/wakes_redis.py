"""Wakes over Redis pub/sub: what is lost here costs a second, never correctness."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from random import SystemRandom
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from central_portal.link.metrics import WAKES
from central_portal.link.ports import Topic
from central_portal.link.wakes_memory import MemoryWakes

log = logging.getLogger(__name__)
QUEUE = 1024
BATCH = 64
KEY = 200
LISTEN_FOR = 2.0
SILENT_FOR = 6.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_WITHIN = 3.0
_FAULTS = (RedisError, OSError, TimeoutError)


class RedisWakes:
    """Implements `ports.Wakes`: one publisher with a bounded queue, one subscriber that reconnects for ever.

    Listeners of this process hear without Redis. A message is `sender key`; `url` names a database, and
    centres with different ones do not hear each other. `away` says that the others are not heard now.
    """

    def __init__(self, url: str) -> None:
        self._url, self._me = url, uuid.uuid4().hex
        self._here = MemoryWakes()
        self._queue: asyncio.Queue[tuple[Topic, str]] = asyncio.Queue(QUEUE)
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = False
        self.away = True

    async def start(self) -> None:
        """See `ports.Wakes`; it starts as well while Redis is away."""
        self._tasks = [asyncio.create_task(self._for_ever(self._publish)), asyncio.create_task(self._for_ever(self._hear))]  # fmt: skip

    async def stop(self) -> None:
        """See `ports.Wakes`."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def tell(self, topic: Topic, key: str) -> None:
        """See `ports.Wakes`."""
        self._here.tell(topic, key)
        try:
            if not self._stopped:
                self._queue.put_nowait((topic, key))
        except asyncio.QueueFull:
            WAKES.labels("lost").inc()

    def listen(self, topic: Topic, callback: Callable[[str | None], None]) -> Callable[[], None]:
        """See `ports.Wakes`."""
        return self._here.listen(topic, callback)

    async def _for_ever(self, work: Callable[[Redis], Any]) -> None:
        """Do `work` on a connection of its own, again after each fault, with jitter."""
        pause, down = _FIRST_PAUSE, False
        while True:
            redis = Redis.from_url(
                self._url, socket_connect_timeout=_WITHIN, socket_timeout=_WITHIN + LISTEN_FOR, retry=None
            )
            try:
                async for _ in work(redis):
                    pause, down = _FIRST_PAUSE, False
            except _FAULTS as error:
                if not down:
                    log.warning("Redis is away (%s): changes are noticed a second later.", type(error).__name__)
                down = True
            finally:
                await redis.aclose()
            await asyncio.sleep(SystemRandom().uniform(pause / 2, pause))
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _publish(self, redis: Redis) -> Any:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            lost = True
            try:
                async with redis.pipeline(transaction=False) as pipe:
                    for topic, key in dict.fromkeys(batch):
                        pipe.publish(self._channel(redis, topic), f"{self._me} {key}")
                    await pipe.execute()
                lost = False
            finally:
                WAKES.labels("lost" if lost else "sent").inc(len(batch))
            yield

    async def _hear(self, redis: Redis) -> Any:
        """Hear the others. Whatever was told before the subscription, or while there was none, may be missed."""
        loop = asyncio.get_running_loop()
        async with redis.pubsub() as pubsub:
            await pubsub.subscribe(*(self._channel(redis, topic) for topic in Topic))
            ready, heard = 0, loop.time()
            try:
                while loop.time() - heard < SILENT_FOR:
                    message = await pubsub.get_message(timeout=LISTEN_FOR)
                    if message is None:
                        await pubsub.ping()
                        continue
                    heard = loop.time()
                    if message["type"] == "subscribe":
                        ready += 1
                        if ready == len(Topic):
                            self.away = False
                            self._look_again()
                    elif message["type"] == "message":
                        self._deliver(message["channel"], message["data"])
                    yield
            finally:
                self.away = True
        raise TimeoutError

    def _look_again(self) -> None:
        for topic in Topic:
            self._here.tell(topic, None)

    def _deliver(self, channel: bytes, data: bytes) -> None:
        """One hint of another process; what Redis carries is never more than a hint."""
        try:
            sender, key = data.decode("ascii").split(" ", 1)
            topic = Topic(channel.decode("ascii").rpartition(":")[2])
        except ValueError:
            return
        if sender != self._me and len(key) <= KEY:
            self._here.tell(topic, key)

    def _channel(self, redis: Redis, topic: Topic) -> str:
        database = redis.connection_pool.connection_kwargs.get("db") or 0
        return f"parasol:{database}:{topic.value}"
