"""Pure merging of pages from many facilities, whatever they hold, and the cursor with one position per facility."""

from __future__ import annotations

import base64
import binascii
import heapq
import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, islice, repeat, takewhile
from operator import le
from typing import Any, Generic, Protocol, TypeVar

from shared.catalogue import Key, Order, SearchPage
from shared.commands import Problem
from shared.errors import InvalidRequest
from shared.facilities import Outcome
from shared.limits import LIMITS

T_co = TypeVar("T_co", covariant=True)


class Page(Protocol[T_co]):
    """A facility's page: `shared.catalogue.SearchPage` or `ProposalPage`."""

    @property
    def next(self) -> str:
        """The position after the last record, empty when there is no more."""
        ...

    @property
    def complete(self) -> bool:
        """False when part of the catalogue could not be read."""
        ...

    @property
    def note(self) -> str:
        """What could not be read."""
        ...

    @property
    def records(self) -> Sequence[T_co]:
        """What it holds."""
        ...

    def keys(self) -> Sequence[Key]:
        """The key of each record; ascending is newest first."""
        ...

    def without(self, first: int) -> Page[T_co]:
        """The page without its first records."""
        ...


@dataclass(frozen=True, slots=True)
class Found(Generic[T_co]):
    """A dataset or proposal with the facility that holds it."""

    facility_id: str
    record: T_co


@dataclass(frozen=True, slots=True)
class FacilityAnswer(Generic[T_co]):
    """How one facility answered; `page` is empty unless it answered. `took_ms` is None when it did not.

    `age_s` is how old the answer is in seconds when the portal's mirror gave it, None when the facility did.
    """

    facility_id: str
    outcome: Outcome
    page: Page[T_co] = field(default_factory=lambda: _NOTHING)
    took_ms: int | None = None
    problem: Problem | None = None
    age_s: float | None = None


_NOTHING: Page[Any] = SearchPage()


@dataclass(frozen=True, slots=True)
class Merged(Generic[T_co]):
    """One page of all facilities. `cursor` is the position after it, empty when there is no more."""

    found: tuple[Found[T_co], ...]
    answers: tuple[FacilityAnswer[T_co], ...]
    cursor: str
    done: bool


@dataclass(frozen=True, slots=True)
class Position:
    """Where to go on at one facility: the position that its catalogue gave, and how many after it were shown.

    `last` is the key of the last of those, so that what is new among them shifts nothing (in RELEVANCE only as long
    as that record is still where it was asked for). `seen` is how many of the facility's records all pages have shown.
    """

    after: str = ""
    skip: int = 0
    seen: int = 0
    last: Key | None = None
    exhausted: bool = False


START = Position()


def is_honest(page: Page[Any], limit: int, after: str = "", order: Order = Order.NEWEST) -> bool:
    """Whether a page keeps its promise: no more than asked, in order, no pid twice, and going on from `after`.

    What is the better match only the catalogue can judge, so of RELEVANCE the order is not looked at.
    """
    keys = page.keys()
    pids = {pid for _, pid in keys}
    in_order = order is Order.RELEVANCE or all(map(le, keys, keys[1:]))
    goes_on = not page.next or page.next != after
    return len(keys) <= limit and in_order and len(pids) == len(keys) and goes_on


def merge(
    answers: Sequence[FacilityAnswer[T_co]], positions: Mapping[str, Position], limit: int, *,
    order: Order = Order.NEWEST, done: bool = True,
) -> Merged[T_co]:  # fmt: skip
    """The first `limit` records of all pages in this order; the cursor goes on exactly after them.

    NEWEST is the order of `shared.catalogue.key`. In RELEVANCE the best match of each facility comes first, then the
    second of each, and so on, equal places by facility: scores of two catalogues cannot be compared, places can
    (`docs/decisions/0031`). A place counts from the first page, so that page sizes change nothing.

    Each page is in order (`is_honest`), so only the records that are taken are looked at.
    A facility's records that did not fit are not lost: its position stays before the first of them. What
    lies after the last known record of a facility that has more is held back for the next page, since
    that facility may have something in between.
    """
    ranked = [(answer, _ranks(answer, positions, order)) for answer in answers]
    known_to = min((_last(answer, ranks) for answer, ranks in ranked if answer.page.next), default=None)
    merged = heapq.merge(*(_placed(answer, ranks) for answer, ranks in ranked))
    within = merged if known_to is None else takewhile(lambda entry: entry[:2] <= known_to, merged)
    found = tuple(
        Found(answer.facility_id, answer.page.records[index]) for _, _, index, answer in islice(within, limit)
    )
    taken = Counter(each.facility_id for each in found)
    after = {
        answer.facility_id: _advance(answer, positions, taken[answer.facility_id], order) for answer in answers
    }
    more = any(not position.exhausted for position in after.values())
    # Without any progress the same question would only be asked again: what could not be reached ends here.
    moved = any(position != positions.get(slug, START) for slug, position in after.items())
    return Merged(found, tuple(answers), write_cursor(after) if more and moved else "", done)


def _ranks(answer: FacilityAnswer[Any], positions: Mapping[str, Position], order: Order) -> Sequence[Key]:
    """Where each record stands; a facility's own are ascending."""
    if order is Order.NEWEST:
        return answer.page.keys()
    seen = positions.get(answer.facility_id, START).seen
    return [(float(place), "") for place in range(seen, seen + len(answer.page.records))]


def _placed(
    answer: FacilityAnswer[T_co], ranks: Sequence[Key]
) -> Iterator[tuple[Key, str, int, FacilityAnswer[T_co]]]:
    """The ranks of a facility's records, and where each is; no two facilities' ranks are equal."""
    return zip(ranks, repeat(answer.facility_id), count(), repeat(answer), strict=False)


def _last(answer: FacilityAnswer[Any], ranks: Sequence[Key]) -> tuple[Key, str]:
    """The rank of the last record that is known of a facility; before everything when none is."""
    return (ranks[-1] if ranks else (float("-inf"), ""), answer.facility_id)


def _advance(answer: FacilityAnswer[Any], positions: Mapping[str, Position], taken: int, order: Order) -> Position:
    before, held = positions.get(answer.facility_id, START), len(answer.page.records)
    if answer.outcome not in _ANSWERED or (not taken and held):
        return before
    if taken < held:
        last = answer.page.keys()[taken - 1]
        return Position(before.after, min(LIMITS.page, before.skip + taken), before.seen + taken, last)
    if not answer.page.next:
        return Position(exhausted=True)
    # So much is new that the page ended before what has been shown: the rest of that comes on the next.
    last_shown = before.last if not held and order is Order.NEWEST else None
    return Position(answer.page.next, 0, before.seen + taken, last_shown)


_ANSWERED = frozenset({Outcome.OK, Outcome.PARTIAL, Outcome.SIGN_IN_NEEDED, Outcome.NOT_LINKED})


def trimmed(page: Page[T_co], position: Position, order: Order = Order.NEWEST) -> Page[T_co]:
    """The page, which is honest, without what an earlier page of the merged list has shown."""
    if position.last is None:
        return page
    keys = page.keys()
    if order is Order.NEWEST:
        return page.without(bisect_right(keys, position.last))
    pids = [pid for _, pid in keys]
    last = position.last[1]
    return page.without(pids.index(last) + 1 if last in pids else position.skip)


def write_cursor(positions: Mapping[str, Position]) -> str:
    """An opaque cursor of the positions."""
    plain = {facility_id: _plain(position) for facility_id, position in sorted(positions.items())}
    return base64.urlsafe_b64encode(json.dumps(plain, separators=(",", ":")).encode()).decode()


def read_cursor(cursor: str) -> dict[str, Position]:
    """The positions of a cursor. Raises InvalidRequest for anything that `write_cursor` did not make."""
    if not cursor:
        return {}
    try:
        plain = json.loads(base64.b64decode(cursor.encode(), altchars=b"-_", validate=True))
        if not isinstance(plain, dict) or len(plain) > 1000 or len(cursor) > 100_000:
            raise ValueError
        return {str(facility_id): _position(value) for facility_id, value in plain.items()}
    except (ValueError, binascii.Error, TypeError, RecursionError):
        raise InvalidRequest("This page cursor is not one of ours.") from None


def _plain(position: Position) -> list[Any]:
    if position.exhausted:
        return []
    if position.last is None:
        return [position.seen, position.after]
    return [position.seen, position.after, position.skip, float(position.last[0]), position.last[1]]


def _position(value: object) -> Position:
    match value:
        case []:
            return Position(exhausted=True)
        case [int(seen), str(after)] if 0 <= seen < 10**12:
            return Position(after, 0, seen)
        case [int(seen), str(after), int(skip), float(rank), str(pid)] if (
            0 <= skip <= LIMITS.page and 0 <= seen < 10**12 and rank == rank
        ):
            return Position(after, skip, seen, (rank, pid))
    raise ValueError
