"""Reading a whole list from a system that knows only `skip` and `limit`, while things come and go."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence
from contextlib import aclosing
from typing import TypeVar

from facility_agent.adapters.http import unusable

T = TypeVar("T")
IDLE = 5
"""So many answers in a row may bring nothing new."""
LOST = 4
"""So often may everything that was seen be gone from the beginning of the list."""


class Moved(Exception):
    """The list changed so much between two answers, or has so little order, that what it holds is not known."""


async def pages(
    ask: Callable[[int, int], Awaitable[Sequence[T]]], key: Callable[[T], Hashable], size: int
) -> AsyncGenerator[list[T], None]:
    """The list in parts: what is there all along comes once, whatever comes or goes before, between and after.

    `ask(skip, limit)` answers in an order that stays; fewer than `limit` is no sign of an end, since servers have bounds of
    their own, and more does no harm. Each answer but the first must hold something that was seen before, so that nothing stands
    unseen in front of it: a question begins where the last item of the answer before stood, and one page earlier when
    so much has gone that it meets nothing known. A server that ignores `skip` gives its first page alone, or Moved: so
    who must be sure counts. `size` is at least 2. Raises Moved.
    """
    begin, last, idle, lost, is_back = 0, None, 0, 0, False
    seen = set[Hashable]()
    while idle < IDLE:
        rows = await ask(begin, size)
        keys = [key(row) for row in rows]
        if seen and seen.isdisjoint(keys):
            lost += begin == 0
            if (is_back and begin > 0) or lost > LOST:
                raise Moved("the list moves by more than a page between two answers")
            if begin > 0:
                begin, is_back = max(begin - size + 1, 0), True
                continue
        fresh = [row for row, its in zip(rows, keys, strict=True) if its not in seen]
        if not rows or (not fresh and keys[-1] == last and (len(rows) == 1 or len(rows) != size)):
            return
        if fresh:
            yield fresh
        idle, is_back = 0 if fresh else idle + 1, False
        seen.update(keys)
        begin, last = begin + len(rows) - 1, keys[-1]
    raise Moved(f"{IDLE} answers in a row bring nothing new and do not end")


async def whole(
    ask: Callable[[int, int], Awaitable[Sequence[T]]],
    key: Callable[[T], Hashable],
    size: int,
    most: int,
    name: str,
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
            raise unusable(name, "") from error
    return found
