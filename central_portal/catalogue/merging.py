"""Pure merging of pages from many facilities, and the cursor that holds one position per facility."""

from __future__ import annotations

import base64
import binascii
import heapq
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, islice, repeat, takewhile
from operator import le

from shared import techniques
from shared.catalogue import Dataset, Key, SearchPage
from shared.commands import Problem
from shared.errors import InvalidRequest
from shared.facilities import Outcome

END = "\0end"


@dataclass(frozen=True, slots=True)
class Found:
    """A dataset with the facility that holds it."""

    facility_id: str
    dataset: Dataset


@dataclass(frozen=True, slots=True)
class FacilityAnswer:
    """How one facility answered; `page` is empty unless it answered. `took_ms` is None when it did not."""

    facility_id: str
    outcome: Outcome
    page: SearchPage = field(default_factory=SearchPage)
    took_ms: int | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Facet:
    """A value and how many datasets of the page have it."""

    id: str
    count: int


@dataclass(frozen=True, slots=True)
class Merged:
    """One page of all facilities. `cursor` is the position after it, empty when there is no more."""

    found: tuple[Found, ...]
    answers: tuple[FacilityAnswer, ...]
    cursor: str
    done: bool


def is_honest(page: SearchPage, limit: int, after: str = "") -> bool:
    """Whether a page keeps its promise: no more than asked, in order, no pid twice, and going on from `after`."""
    keys = page.keys()
    pids = {pid for _, pid in keys}
    goes_on = not page.next or page.next != after
    return len(keys) <= limit and all(map(le, keys, keys[1:])) and len(pids) == len(keys) and goes_on


def merge(
    answers: Sequence[FacilityAnswer], positions: Mapping[str, Position], limit: int, *, done: bool = True
) -> Merged:
    """The first `limit` datasets of all pages, newest first; the cursor goes on exactly after them.

    Each page is in order (`is_honest`), so only the datasets that are taken are looked at.
    A facility's datasets that did not fit are not lost: its position stays before the first of them. What
    lies after the last known dataset of a facility that has more is held back for the next page, since
    that facility may have something in between.
    """
    known_to = min((_last(answer) for answer in answers if answer.page.next), default=None)
    ranked = heapq.merge(*map(_ranked, answers))
    within = ranked if known_to is None else takewhile(lambda entry: entry[:2] <= known_to, ranked)
    found = tuple(
        Found(answer.facility_id, answer.page.datasets[index]) for _, _, index, answer in islice(within, limit)
    )
    taken = Counter(each.facility_id for each in found)
    after = {answer.facility_id: _advance(answer, positions, taken[answer.facility_id]) for answer in answers}
    more = any(not position.exhausted for position in after.values())
    # Without any progress the same question would only be asked again: what could not be reached ends here.
    moved = any(position != positions.get(slug, Position()) for slug, position in after.items())
    return Merged(found, tuple(answers), write_cursor(after) if more and moved else "", done)


def _ranked(answer: FacilityAnswer) -> Iterator[tuple[Key, str, int, FacilityAnswer]]:
    """The ranks of a facility's datasets, and where each is; no two facilities' ranks are equal."""
    return zip(answer.page.keys(), repeat(answer.facility_id), count(), repeat(answer), strict=False)


def _last(answer: FacilityAnswer) -> tuple[Key, str]:
    """The rank of the last dataset that is known of a facility; before everything when none is."""
    keys = answer.page.keys()
    return (keys[-1] if keys else (float("-inf"), ""), answer.facility_id)


@dataclass(frozen=True, slots=True)
class Position:
    """Where to go on at one facility: the position that its catalogue gave, and how many to leave out after it."""

    after: str = ""
    skip: int = 0
    exhausted: bool = False


def _advance(answer: FacilityAnswer, positions: Mapping[str, Position], taken: int) -> Position:
    before = positions.get(answer.facility_id, Position())
    if answer.outcome not in _ANSWERED:
        return before
    if taken < len(answer.page.datasets):
        return Position(before.after, before.skip + taken)
    return Position(answer.page.next) if answer.page.next else Position(exhausted=True)


_ANSWERED = frozenset({Outcome.OK, Outcome.PARTIAL, Outcome.SIGN_IN_NEEDED, Outcome.NOT_LINKED})


def trimmed(page: SearchPage, position: Position) -> SearchPage:
    """The page without what an earlier page of the merged list has shown."""
    return replace(page, datasets=page.datasets[position.skip :]) if position.skip else page


def write_cursor(positions: Mapping[str, Position]) -> str:
    """An opaque cursor of the positions."""
    plain = {
        facility_id: [END if position.exhausted else position.after, position.skip]
        for facility_id, position in sorted(positions.items())
    }
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


def _position(value: object) -> Position:
    match value:
        case [str(after), int(skip)] if 0 <= skip <= 1000:
            return Position(exhausted=True) if after == END else Position(after, skip)
    raise ValueError


def terms_of(asked: Iterable[str]) -> tuple[str, ...]:
    """Techniques as people write them, as canonical terms: an id, CURIE or address as it is, else a label of PaNET.

    Raises InvalidRequest for what is neither.
    """
    terms: dict[str, None] = {}
    for text in asked:
        term = techniques.canonical(text)
        if techniques.title(term) or ":" in term:
            terms[term] = None
            continue
        found = techniques.find(text)
        if not found:
            raise InvalidRequest(f"PaNET has no technique called {term}.", metadata={"technique": term})
        terms |= dict.fromkeys(found)
    return tuple(terms)


def facets(values: Iterable[str]) -> tuple[Facet, ...]:
    """Each value with its count, most frequent first, then by name; empty values are left out."""
    counts = Counter(value for value in values if value)
    return tuple(
        Facet(value, count) for value, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )
