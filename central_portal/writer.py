"""Small writes to the database in groups, from asynchronous code."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from django.db import connection, transaction

from shared.errors import RateLimited

I = TypeVar("I")  # noqa: E741
T = TypeVar("T")
GROUP = 64
WAITING = 2048
_ATTEMPTS = 3
_DEADLOCK = "40P01"

Outcome = tuple[Any, BaseException | None]


@dataclass(frozen=True, slots=True)
class Work:
    """Something to write. `batch` takes all items that wait for it, and gives what each of them came to."""

    batch: Callable[[Sequence[Any]], Sequence[Any]]
    item: Any


class Writer:
    """Small writes in groups: what is asked while one transaction commits goes together into the next.

    A commit costs more than what it commits, so under load many share one; and a statement more than a row, so items of
    one kind share their statements. What fails undoes itself alone. One thread with a connection of its own; one loop.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[Work, asyncio.Future[Any]]] = deque()
        self._running: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "writer")

    async def __call__(self, work: Callable[[], T]) -> T:
        """What `work` returns once it is committed; raises what it raises, or RateLimited when too many wait.

        It may be run more than once; all runs but the last are undone.
        """
        return await self._ask(Work(_alone, work))  # type: ignore[no-any-return]

    async def batched(self, batch: Callable[[Sequence[I]], Sequence[T]], item: I) -> T:
        """The same for one item of a kind that is written together."""
        return await self._ask(Work(batch, item))  # type: ignore[no-any-return]

    async def _ask(self, work: Work) -> Any:
        if len(self._waiting) >= WAITING:
            raise RateLimited("The portal has too much to do at the moment; try again shortly.")
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
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


def _alone(works: Sequence[Callable[[], Any]]) -> Sequence[Any]:
    return [work() for work in works]


def _commit(works: Sequence[Work]) -> list[Outcome]:
    """Commits them together; when one fails, or the connection was lost since its last use, each for itself.

    What gave way to another process's group is done again, alone.
    """
    try:
        return _transaction(partial(_together, works))
    except _Undone as undone:
        if len(works) == 1 and not undone.lost and not _is_deadlock(undone.why):
            return [(None, undone.why)]
    outcomes = _each(works)
    for index, work in enumerate(works):
        for _ in range(_ATTEMPTS):
            if not _is_deadlock(outcomes[index][1]):
                break
            outcomes[index] = _each([work])[0]
    return outcomes


def _each(works: Sequence[Work]) -> list[Outcome]:
    try:
        return _transaction(lambda: [_in_savepoint(work) for work in works])
    except _Undone as undone:
        connection.close()  # a broken connection must not outlive the group that found it broken
        raise undone.why from None


class _Undone(Exception):
    """A transaction was undone before its commit was asked for: nothing of it has happened.

    `why` is what made it so; `lost` when the connection was gone: another one may do it.
    """

    def __init__(self, why: Exception, lost: bool) -> None:
        super().__init__(str(why))
        self.why, self.lost = why, lost


def _transaction(work: Callable[[], T]) -> T:
    """Raises _Undone, or what the commit itself raises: then nobody knows what became of it."""
    lost = asked = False
    try:
        with transaction.atomic():
            try:
                done = work()
            except Exception:
                lost = getattr(connection.connection, "closed", False)
                raise
            asked = True
    except Exception as error:
        if not asked:
            raise _Undone(error, lost) from error
        connection.close()
        raise
    return done


def _together(works: Sequence[Work]) -> list[Outcome]:
    """Items of one kind in one call each. Raises what any of them raises."""
    kinds: dict[Any, list[int]] = {}
    for index, work in enumerate(works):
        kinds.setdefault(work.batch, []).append(index)
    results: list[Outcome] = [(None, None)] * len(works)
    for batch, indices in kinds.items():
        done = batch([works[index].item for index in indices])
        for index, result in zip(indices, done, strict=True):
            results[index] = (result, None)
    return results


def _in_savepoint(work: Work) -> Outcome:
    try:
        with transaction.atomic():
            return work.batch([work.item])[0], None
    except Exception as error:  # noqa: BLE001 (it is raised where the work was asked)
        return None, error


def _is_deadlock(error: BaseException | None) -> bool:
    """Whether two groups waited for each other's rows and this work was the one to give way: nothing of it happened."""
    return error is not None and getattr(error.__cause__, "sqlstate", "") == _DEADLOCK
