"""One question to many facilities at once, each with a deadline of its own, and what came merged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from central_portal.catalogue.merging import START, FacilityAnswer, Merged, Position, merge, read_cursor
from shared.catalogue import Order
from shared.commands import Problem
from shared.errors import DeadlineExceeded
from shared.facilities import Outcome

T = TypeVar("T")
Ask = Callable[[str, Position], Coroutine[Any, Any, FacilityAnswer[T]]]
"""Asks one facility from a position on; never raises."""


class FanOut(Generic[T]):
    """The facilities of `slugs` that have something for this cursor, asked at most `patience` seconds.

    Raises InvalidRequest, when it is made, for a cursor that is none of ours.
    """

    def __init__(
        self, slugs: Sequence[str], after: str, limit: int, order: Order, patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._positions = read_cursor(after)
        self._slugs = [slug for slug in slugs if _open(self._positions, slug)]
        self._limit, self._order, self._patience, self._clock = limit, order, patience, clock

    async def whole(self, ask: Ask[T]) -> Merged[T]:
        """One page with an outcome for every facility asked."""
        asked = self._asked(ask)
        try:
            if asked:
                await asyncio.wait(asked, timeout=self._patience)
        finally:
            _cancel(asked)
        return self._merge([_answer(*one) for one in asked.items()])

    async def progress(self, ask: Ask[T]) -> AsyncIterator[Merged[T]]:
        """The page as it stands after each answer; the last has `done`. A late answer changes nothing."""
        asked = self._asked(ask)
        pending, until = set(asked), self._clock() + self._patience
        if not pending:
            yield self._merge([])
        try:
            while pending:
                left = max(0.0, until - self._clock())
                finished, waiting = await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                pending = waiting if finished else set()
                answers = [_answer(task, slug) for task, slug in asked.items() if task not in pending]
                yield self._merge(answers, done=not pending)
        finally:
            _cancel(asked)

    def _asked(self, ask: Ask[T]) -> dict[asyncio.Task[FacilityAnswer[T]], str]:
        """A question under way to each facility."""
        return {asyncio.create_task(ask(slug, self._positions.get(slug, START))): slug for slug in self._slugs}

    def _merge(self, answers: Sequence[FacilityAnswer[T]], *, done: bool = True) -> Merged[T]:
        return merge(answers, self._positions, self._limit, order=self._order, done=done)


def _answer(task: asyncio.Task[FacilityAnswer[T]], slug: str) -> FacilityAnswer[T]:
    """What came of a question until now."""
    if task.done():
        return task.result()
    return FacilityAnswer(slug, Outcome.TIMED_OUT, problem=Problem.of(DeadlineExceeded()))


def _cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Nobody waits any more; nothing happens to those that are done."""
    for task in tasks:
        task.cancel()


def _open(positions: Mapping[str, Position], slug: str) -> bool:
    """Whether a facility still has something for this cursor; every facility has before the first page."""
    return not positions or (slug in positions and not positions[slug].exhausted)
