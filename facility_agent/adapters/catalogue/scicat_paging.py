"""A page out of SciCat's order, found again by what stands at its beginning: SciCat itself knows only `skip`.

Pure but for the two ways of asking that it is given.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from facility_agent.adapters.catalogue.scicat_client import NAME
from facility_agent.adapters.catalogue.scicat_questions import Place, Range
from facility_agent.adapters.catalogue.scicat_records import Record
from facility_agent.adapters.http import unusable

TRIES, STEPS = 3, 20
Row = tuple[Place, Record]


@dataclass(frozen=True, slots=True)
class Found:
    """A record in the range, and how many stand at or before it in the order."""

    place: Place
    record: Record
    seen: int


@dataclass(frozen=True, slots=True)
class Order:
    """One question's datasets in order: `rows(skip, limit)` of them, and `before()`, how many precede the range."""

    rows: Callable[[int, int], Awaitable[list[Row]]]
    before: Callable[[], Awaitable[int]]


async def first(
    order: Order, span: Range, seen: int | None, most: int, is_good: Callable[[Record], bool]
) -> list[Found]:
    """The first `most` good records of the range. `seen` guesses how many precede it; None asks SciCat.

    A guess is believed only when the record before the range is one that is before it: what came or went meanwhile
    is found out, and SciCat asked. Raises BackendError when SciCat's count and list do not agree.
    """
    limit = most + 1
    skip, rows = await _begin(order, span, seen, limit)
    found: list[Found] = []
    last: Place | None = None
    for _ in range(STEPS):
        for at, (place, record) in enumerate(rows, skip + 1):
            if span.is_past(place):
                return found
            if span.is_before(place) or (last is not None and place <= last):
                continue
            last = place
            if is_good(record):
                found.append(Found(place, record, at))
                if len(found) == most:
                    return found
        if len(rows) < limit:
            return found
        skip += len(rows)
        rows = await order.rows(skip, limit)
    raise unusable(NAME, f"has too many records in a row that cannot be used, after {skip}")


async def _begin(order: Order, span: Range, seen: int | None, limit: int) -> tuple[int, list[Row]]:
    for _ in range(TRIES):
        before = await order.before() if seen is None else seen
        skip = max(before - 1, 0)
        rows = await order.rows(skip, limit)
        too_far = before > 0 and (not rows or not span.is_before(rows[0][0]))
        too_near = len(rows) == limit and span.is_before(rows[-1][0])
        if not too_far and not too_near:
            return skip, rows
        seen = None
    raise unusable(NAME, "counts other datasets than it lists")


def in_order(rows: list[Row]) -> Iterator[Row]:
    """The rows. Raises BackendError when they are not in the order that was asked for."""
    last: Place | None = None
    for place, record in rows:
        if last is not None and place <= last:
            raise unusable(NAME, "is not in the order that was asked for")
        last = place
        yield place, record
