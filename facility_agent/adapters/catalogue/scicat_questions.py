"""Questions as SciCat's v4 filters, and positions in its order. Pure.

Two ways of SciCat shape this: dates in a v4 list's `where` stay strings and match nothing, while counting casts them;
and `fields` are projected before sorting, so what is sorted by must be among them. Dates are therefore never part of
a list's `where`: lists are sorted by time, what a bound leaves out lies at one end, and counting says where it begins.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from facility_agent.adapters.catalogue.scicat_records import Fields, Record
from facility_agent.adapters.catalogue.values import milliseconds
from shared import cursors
from shared.catalogue import Belonging, SearchQuery
from shared.errors import InvalidRequest
from shared.techniques import narrower

Where = dict[str, Any]
FOREIGN = "This page cursor is not one of this catalogue's."
NOTHING: Where = {"pid": {"$in": []}}
_BARE = re.compile(r"PaNET\d+")
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST, _LATEST = -62_135_596_800.0, 253_402_300_799.0  # the years 1 to 9999
_TEXT = ("datasetName", "description", "keywords", "dataFormat", "pid")


def where(query: SearchQuery, proposals: Set[str], instruments: Mapping[str, str], fields: Fields) -> Where:
    """What a question asks for among what is open and what belongs to these proposals; dates are not in it."""
    parts = [visible(query, proposals, fields)]
    if query.instruments:
        parts.append({"instrumentIds": {"$in": _used(set(query.instruments), instruments)}})
    if query.techniques:
        parts.append(_technique(query.techniques))
    parts += [_word(word, instruments, fields) for word in _split(query.text)]
    parts += [_any(_sample(fields), _begins(word)) for word in _split(query.sample)]
    return {"$and": parts}


def visible(query: SearchQuery, proposals: Set[str], fields: Fields) -> Where:
    """Open datasets and those of the reader's proposals, or these alone; of chosen proposals alone when there are any."""
    chosen = query.proposals
    own = fields.written(proposals & set(chosen) if chosen else proposals)
    mine: list[Where] = [{fields.proposal: {"$in": own}}] if own else []
    if query.belonging is Belonging.OWN:
        return mine[0] if mine else NOTHING
    seen: list[Where] = [{"isPublished": True}, *mine]
    if not chosen:
        return {"$or": seen}
    return {"$and": [{"$or": seen}, {fields.proposal: {"$in": fields.written(chosen)}}]}


def proposal_words(text: str) -> list[Where]:
    """Each word in id, title or abstract of a proposal."""
    return [_any(("proposalId", "title", "abstract"), _begins(word)) for word in _split(text)]


def facets(field: str) -> dict[str, Any]:
    """The question for the values of a field and how many datasets have each."""
    return {"facets": [field], "fields": {}}


def _split(text: str) -> list[str]:
    if "\0" in text:
        raise InvalidRequest("The question has characters that no text has.")
    return list(dict.fromkeys(text.lower().split()))


def _begins(word: str) -> Where:
    return {"$regex": rf"(^|\W|_){re.escape(word)}", "$options": "i"}


def _any(names: tuple[str, ...], condition: Where) -> Where:
    return {"$or": [{name: condition} for name in names]} if names else NOTHING


def _sample(fields: Fields) -> tuple[str, ...]:
    key = f"scientificMetadata.{fields.sample}"
    return (key, f"{key}.value") if fields.sample else ()


def _word(word: str, instruments: Mapping[str, str], fields: Fields) -> Where:
    begins = _begins(word)
    said = re.compile(begins["$regex"], re.IGNORECASE)
    named = {name for name in instruments.values() if said.search(name)}
    found = _any((*_TEXT, fields.proposal, *_sample(fields)), begins)
    found["$or"].append({"instrumentIds": {"$in": _used(named, instruments)}})
    return found


def _used(names: Set[str], instruments: Mapping[str, str]) -> list[str]:
    """The ids of instruments with these names; one without a record goes by its id."""
    known = {pid for pid, name in instruments.items() if name in names}
    return sorted(known | {name for name in names if name not in instruments})


def _technique(terms: tuple[str, ...]) -> Where:
    """Any of these terms and what is narrower, in whatever spelling: as a pattern, since lists of ids grow too long."""
    asked = frozenset[str]().union(*map(narrower, terms))
    bare = sorted(term.removeprefix("PaNET") for term in asked if _BARE.fullmatch(term))
    foreign = sorted(term for term in asked if not _BARE.fullmatch(term))
    seen: list[Where] = [{"techniques.pid": {"$in": foreign}}]
    if bare:
        spelled = rf"^(https?://purl\.org/pan-science/PaNET/|panet:)?panet({'|'.join(bare)})$"
        seen.append({"techniques.pid": {"$regex": spelled, "$options": "i"}})
    return {"$or": seen}


# --- positions


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A dataset's place in SciCat's order: ascending is newest first, no time last, ties by SciCat's pid."""

    later: float
    pid: str

    @property
    def ms(self) -> int | None:
        """Its time in POSIX milliseconds."""
        return None if math.isinf(self.later) else -int(self.later)


def place(row: Record, fields: Fields) -> Place:
    """Where a dataset stands; its pid is text."""
    ms = milliseconds(row.get(fields.time))
    return Place(math.inf if ms is None else -float(ms), row["pid"])


@dataclass(frozen=True, slots=True)
class Range:
    """The part of the order that is asked for: after `after`, and with a time within `since` and `until`."""

    after: Place | None
    since: float | None
    until: float | None

    def is_before(self, at: Place) -> bool:
        """Whether the range begins later."""
        newer = self.until is not None and at.ms is not None and at.ms / 1000 > self.until
        return newer or (self.after is not None and at <= self.after)

    def is_past(self, at: Place) -> bool:
        """Whether the range ends earlier; what has no time is in no period."""
        if at.ms is None:
            return self.since is not None or self.until is not None
        return self.since is not None and at.ms / 1000 < self.since

    def before(self, wanted: Where, time: str) -> Where | None:
        """What to count to know how many are before the range; None when there are none."""
        parts: list[Where] = []
        if self.until is not None:
            parts.append({time: {"$gt": _iso(math.floor(min(max(self.until, _EARLIEST), _LATEST) * 1000))}})
        if self.after is not None and self.after.ms is None:
            parts += [{time: {"$ne": None}}, {time: None, "pid": {"$lte": self.after.pid}}]
        elif self.after is not None and self.after.ms is not None:
            at = _iso(self.after.ms)
            parts += [{time: {"$gt": at}}, {time: {"$eq": at}, "pid": {"$lte": self.after.pid}}]
        return {"$and": [wanted, {"$or": parts}]} if parts else None


def _iso(ms: int) -> str:
    return (_FIRST + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def position(after: str) -> tuple[Place, int]:
    """The place after which a page begins, and how many were before that. Raises InvalidRequest."""
    later, pid, seen = cursors.read(after, float, str, int)
    if not 0 <= seen < 2**31 or (later != math.inf and not -_LATEST <= later / 1000 <= -_EARLIEST):
        raise InvalidRequest(cursors.FOREIGN)
    return Place(later, pid), seen
