"""Reading a whole list from a system that knows only `skip` and `limit`, while things come and go."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Hashable, Sequence
from contextlib import aclosing
from typing import TypeVar

from facility_agent.adapters.http import unusable

T = TypeVar("T")
IDLE = 10
"""So many answers in a row may bring nothing new."""


class Moved(Exception):
    """The list changed so much between two answers, or has so little order, that what it holds is not known."""


async def pages(
    ask: Callable[[int, int], Awaitable[Sequence[T]]], key: Callable[[T], Hashable], size: int
) -> AsyncGenerator[list[T], None]:
    """The list in parts: what is there all along comes once, whatever comes or goes before, between and after.

    `ask(skip, limit)` answers in an order that stays; fewer than `limit` is no sign of an end, since servers have bounds of
    their own, and more does no harm. Each question begins where the last item of the answer before stood.
    What stands behind the last item known in the new answer has not been seen; when none is known, something before has
    gone, and the list is looked for one page earlier. `size` is at least 2. Raises Moved.
    """
    begin, known, last = 0, set[Hashable](), None
    is_back, idle = False, 0
    while idle < IDLE:
        rows = await ask(begin, size)
        at = _last_known(rows, key, known)
        if known and at < 0:
            if is_back or begin == 0:
                raise Moved
            begin, is_back = max(begin - size + 1, 0), True
            continue
        is_back, fresh = False, list(rows[at + 1 :])
        if not rows or (not fresh and key(rows[-1]) == last):
            return
        if fresh:
            idle, known = 0, {key(row) for row in rows}
            yield fresh
        else:
            idle += 1
        begin, last = begin + len(rows) - 1, key(rows[-1])
    raise Moved


def _last_known(rows: Sequence[T], key: Callable[[T], Hashable], known: Collection[Hashable]) -> int:
    return next((at for at in range(len(rows) - 1, -1, -1) if key(rows[at]) in known), -1)


async def whole(
    ask: Callable[[int, int], Awaitable[Sequence[T]]], key: Callable[[T], Hashable], size: int, most: int, name: str
) -> list[T]:
    """The same as one list, of at most `most` items. Raises BackendError, in which `name` is the system's, for any other."""
    found: list[T] = []
    async with aclosing(pages(ask, key, size)) as parts:
        try:
            async for part in parts:
                found += part
                if len(found) > most:
                    raise unusable(name, f"has more than {most} records")
        except Moved as error:
            raise unusable(name, "is in another order each time") from error
    return found
