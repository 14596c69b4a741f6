"""Small writes to the database in groups, from asynchronous code."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import Error, close_old_connections, connection, transaction

from shared.errors import RateLimited

T = TypeVar("T")
GROUP = 64
WAITING = 2048
_ATTEMPTS = 3
_DEADLOCK = "40P01"

Work = tuple[Callable[[], Any], "asyncio.Future[Any]"]
Outcome = tuple[Any, BaseException | None]


class Writer:
    """Small writes in groups: what is asked while one transaction commits goes together into the next.

    A commit costs more than what it commits, so under load many share one. Each work has a savepoint: what it
    raises undoes it alone. One thread with a connection of its own; one loop.
    """

    def __init__(self) -> None:
        self._waiting: deque[Work] = deque()
        self._running: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "writer")

    async def __call__(self, work: Callable[[], T]) -> T:
        """What `work` returns once it is committed; raises what it raises, or RateLimited when too many wait."""
        if len(self._waiting) >= WAITING:
            raise RateLimited("The portal has too much to do at the moment; try again shortly.")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, done))
        if self._running is None:
            self._running = asyncio.create_task(self._drain())
        return await done

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                group = [self._waiting.popleft() for _ in range(min(GROUP, len(self._waiting)))]
                try:
                    results = await loop.run_in_executor(self._thread, _commit, [work for work, _ in group])
                except Exception as error:  # noqa: BLE001 (the commit itself failed: nothing of the group happened)
                    results = [(None, error)] * len(group)
                for (_, done), (result, failure) in zip(group, results, strict=True):
                    if done.cancelled():
                        continue
                    if failure is None:
                        done.set_result(result)
                    else:
                        done.set_exception(failure)
        finally:
            self._running = None

    async def close(self) -> None:
        """Waits for what is under way and returns the connection."""
        if self._running is not None:
            await asyncio.wait([self._running])
        await asyncio.get_running_loop().run_in_executor(self._thread, lambda: connection.close())
        self._thread.shutdown()


def _commit(works: Sequence[Callable[[], Any]]) -> list[Outcome]:
    """Commits them together; what gave way to another process's group is done again, alone."""
    outcomes = _together(works)
    for index, work in enumerate(works):
        for _ in range(_ATTEMPTS):
            if not _is_deadlock(outcomes[index][1]):
                break
            outcomes[index] = _together([work])[0]
    return outcomes


def _together(works: Sequence[Callable[[], Any]]) -> list[Outcome]:
    try:
        with transaction.atomic():
            return [_attempt(work, alone=len(works) == 1) for work in works]
    except _Alone as failed:
        return [(None, failed.__cause__)]
    except Error:
        connection.close()  # a broken connection must not outlive the group that found it broken
        raise
    finally:
        if connection.vendor == "postgresql":
            close_old_connections()  # into the pool, which looks whether it still works before it gives it out again


def _is_deadlock(error: BaseException | None) -> bool:
    """Whether two groups waited for each other's rows and this work was the one to give way: nothing of it happened."""
    return error is not None and getattr(error.__cause__, "sqlstate", "") == _DEADLOCK


class _Alone(Exception):
    """Carries the failure of a work that had the transaction for itself, so that all of it is undone."""


def _attempt(work: Callable[[], Any], *, alone: bool) -> Outcome:
    if alone:
        try:
            return work(), None
        except Exception as error:
            raise _Alone from error
    try:
        with transaction.atomic():
            return work(), None
    except Exception as error:  # noqa: BLE001 (it is raised where the work was asked)
        return None, error
