"""What one user may see of an ICAT: the service account asks, and every question carries that user's access rules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from facility_agent.adapters.catalogue import icat_map as say
from facility_agent.adapters.catalogue.icat_own import Own
from facility_agent.adapters.catalogue.icat_query import ROW, Source, moment, one_of, select
from facility_agent.adapters.catalogue.icat_question import asked, still_found, wanted, within, words
from facility_agent.adapters.catalogue.icat_sight import SOME, Asking, InPerson, Row, Sight, sights, together
from facility_agent.adapters.http import unusable
from shared import cursors
from shared.catalogue import (  # fmt: skip
    Belonging,
    DataFile,
    Dataset,
    FilePage,
    Key,
    Proposal,
    ProposalPage,
    ProposalQuery,
    SearchPage,
    SearchQuery,
    key,
)
from shared.commands import GetFiles
from shared.errors import BackendError, NotFound

CHUNK, MOST = 1000, 100_000
ANYONE = "anon/anon"


@dataclass(frozen=True, slots=True)
class _Question:
    """A search as it is asked of each source: what to join and demand, after which key to go on, and which rows are wanted."""

    query: SearchQuery
    joins: str
    conditions: list[str]
    start: tuple[Any, ...] | None
    own: Own


class Icat:
    """Answers by ICAT's rules for a user of ICAT (`mnemonic/name`), read anew for every question.

    `asking` is the service account (`IcatClient`). `anyone` is the user whom everybody may be, `roots`
    those whom ICAT shows everything (its `rootUserNames`), `zone` the server's zone. Where a user's `own` session is given, ICAT
    itself says what they see, and only what anyone sees is read from the rules. Raises BackendError for a rule that
    applies and cannot be read, and BackendUnavailable and BackendError as `asking` and `own` do.
    """

    def __init__(
        self, asking: Asking, *, anyone: str = ANYONE, roots: Set[str] = frozenset(), zone: ZoneInfo | None = None,
        fields: say.Fields = say.FIELDS,
    ) -> None:  # fmt: skip
        self._asking, self._anyone, self._roots, self._zone = asking, anyone, roots, zone or ZoneInfo("UTC")
        self._fields = fields

    async def search(
        self, query: SearchQuery, user: str, proposals: Set[str] = frozenset(), own: Asking | None = None
    ) -> SearchPage:
        """One page in the order of `shared.catalogue.sort_key`; `proposals` are the user's by the facility's rules.

        Raises InvalidRequest for a cursor not of this catalogue.
        """
        start = tuple(cursors.read(query.after, float, str)) if query.after else None
        techniques = await self._techniques(query) if query.techniques else []
        if query.techniques and not techniques:
            return SearchPage()
        me, anyone = await self._sights(user, own)
        theirs = Own(query.belonging is Belonging.OWN, proposals, anyone, self._fields)
        question = _Question(
            query, *asked(theirs.named(query), self._zone, techniques, self._fields), start, theirs
        )
        streams = [self._dated(source, question, me) for source in me.sources("Dataset")]
        found: dict[str, tuple[Key, Any]] = {}
        for part in await together([_first(stream, query.limit + 1) for stream in streams]):
            found |= {where[1]: (where, row) for where, row in part}
        ordered = sorted(found.values(), key=lambda each: each[0])
        page = ordered[: query.limit]
        opened = await anyone.among("Dataset", [row["id"] for _, row in page])
        datasets = tuple(say.dataset(row, row["id"] in opened, self._fields) for _, row in page)
        return SearchPage(datasets, cursors.write(*page[-1][0]) if len(ordered) > query.limit else "")

    async def get(self, pid: str, user: str, own: Asking | None = None) -> Dataset:
        """One dataset. Raises NotFound when there is none or the user may not see it."""
        number = say.id_of(pid)
        me, anyone = await self._sights(user, own)
        texts = [
            select("Dataset", source, [f"{ROW}.id = {number}"], include=say.DATASET)
            for source in me.sources("Dataset")
        ]
        rows = [
            row
            for part in await together([me.asking.query(text) for text in texts])
            for row in _rows(part, "Dataset")
        ]
        if not rows:
            raise NotFound(say.NO_DATASET)
        (row,) = await me.veiled("Dataset", rows[:1])
        return say.dataset(row, number in await anyone.among("Dataset", [number]), self._fields)

    async def proposals(self, query: ProposalQuery, user: str, own: Asking | None = None) -> ProposalPage:
        """One page of investigations by name; those that share a name are one proposal, told by the first."""
        after, name = cursors.read(query.after, str)[0] if query.after else "", self._fields.proposal
        conditions = [
            words(word, f"{ROW}.{name}", f"{ROW}.title", f"{ROW}.summary") for word in query.text.split()
        ]
        conditions += [f"{ROW}.{name} {one_of(query.proposals)}"] if query.proposals else []
        me, anyone = await self._sights(user, own)
        names = sorted(each for each in await self._all(me, "Investigation", conditions, name) if each > after)
        page = names[: query.limit]
        rows = await self._named(me, page)
        opened = await anyone.among("Investigation", [row["id"] for row in rows.values()])
        told: tuple[Proposal, ...] = tuple(
            say.proposal(rows[n], rows[n]["id"] in opened, self._fields) for n in page if n in rows
        )
        return ProposalPage(told, cursors.write(page[-1]) if len(names) > query.limit else "")

    async def files(self, request: GetFiles, user: str, own: Asking | None = None) -> FilePage:
        """One page of a dataset's files by path. Raises NotFound as `get` does."""
        after = cursors.read(request.after, str)[0] if request.after else ""
        dataset = say.id_of(request.pid)
        me = InPerson.of(own, user) if own else (await sights(self._asking, (user,), self._roots))[0]
        if dataset not in await me.existing("Dataset", dataset):
            raise NotFound(say.NO_DATASET)
        found = set[DataFile]()
        for source in me.sources("Datafile"):
            first = 0
            while True:
                text = select("Datafile", source, [f"{ROW}.dataset.id = {dataset}", f"{ROW}.id > {first}"], order=f"{ROW}.id", include=("dataset",), limit=(0, CHUNK))  # fmt: skip
                rows = _rows(await me.asking.query(text), "Datafile")
                found |= {say.file(row) for row in rows}
                if len(rows) < CHUNK:
                    break
                first = _beyond(rows[-1]["id"], first, len(found))
        later = sorted((each for each in found if each.path > after), key=lambda each: each.path)
        page = tuple(later[: request.limit])
        return FilePage(page, cursors.write(page[-1].path) if len(later) > request.limit else "", len(found))

    async def _sights(self, user: str, own: Asking | None) -> tuple[Sight, Sight]:
        """The user's view and anyone's."""
        if own is not None:
            (anyone,) = await sights(self._asking, (self._anyone,), self._roots)
            return InPerson.of(own, user), anyone
        me, anyone = await sights(self._asking, (user, self._anyone), self._roots)
        return me, anyone

    async def _techniques(self, query: SearchQuery) -> list[int]:
        """The ids of the Technique rows that mean what is asked for."""
        terms, found, first = wanted(query), list[int](), 0
        while True:
            text = select("Technique", Source(), [f"{ROW}.id > {first}"], order=f"{ROW}.id", limit=(0, CHUNK))
            rows = _rows(await self._asking.query(text), "Technique")
            found += [row["id"] for row in rows if say.term_of(row) in terms]
            if len(rows) < CHUNK:
                return found
            first = _beyond(rows[-1]["id"], first, first)

    async def _all(self, me: Sight, entity: str, conditions: list[str], attribute: str) -> set[str]:
        found = set[str]()
        for source in me.sources(entity):
            first = 0
            while True:
                text = select(entity, source, conditions, what=f"{ROW}.{attribute}", order=f"{ROW}.{attribute}", limit=(first, CHUNK))  # fmt: skip
                rows = await me.asking.query(text)
                if not all(isinstance(each, str) for each in rows):
                    raise unusable("catalogue", f"has no text as {attribute}")
                found.update(rows)
                if len(rows) < CHUNK:
                    break
                first = _beyond(first + CHUNK, first, len(found))
        return found

    async def _named(self, me: Sight, names: list[str]) -> dict[str, Row]:
        name = self._fields.proposal
        texts = [
            select(
                "Investigation", source, [f"{ROW}.{name} {one_of(names[at : at + SOME // 4])}"], order=f"{ROW}.id",
                include=say.INVESTIGATION,
            )
            for source in me.sources("Investigation")
            for at in range(0, len(names), SOME // 4)
        ]  # fmt: skip
        rows: dict[str, Row] = {}
        for part in await together([me.asking.query(text) for text in texts]):
            for row in _rows(part, "Investigation"):
                said = say.text(row, name)
                if said not in rows or row["id"] < rows[said]["id"]:
                    rows[said] = row
        return dict(zip(rows, await me.veiled("Investigation", list(rows.values())), strict=True))

    async def _dated(self, source: Source, asking: _Question, me: Sight) -> AsyncIterator[tuple[Key, Row]]:
        """The rows of one source in order: those with a time, then those without.

        ICAT's literals know whole seconds, its columns may know more: what is at the edge is asked for and judged here.
        """
        query, start = asking.query, asking.start
        for times, order in self._parts(query, start):
            first, size = 0, asking.own.rows(query.limit + 1)
            while True:
                text = select("Dataset", source, asking.conditions + times, joins=asking.joins, order=order, include=say.DATASET, limit=(first, size))  # fmt: skip
                rows = _rows(await me.asking.query(text), "Dataset")
                keys = [key(say.seconds(row, "startDate"), say.pid_of(row["id"])) for row in rows]
                if any(later <= earlier for earlier, later in pairwise(keys)):
                    raise unusable("catalogue", "is not in the order that was asked for")
                shown = await me.veiled("Dataset", rows)
                mine = await asking.own.among(shown)
                for where, whole, row in zip(keys, rows, shown, strict=True):
                    found = row["id"] in mine and (row is whole or still_found(query, row, self._fields))
                    if found and (start is None or where > start) and within(query, where[0]):
                        yield where, row
                if len(rows) < size:
                    break
                first = _beyond(first + size, first, first)

    def _parts(self, query: SearchQuery, start: tuple[Any, ...] | None) -> list[tuple[list[str], str]]:
        """Conditions and order of the questions that together give the rows after `start`."""
        timed = [f"{ROW}.startDate IS NOT NULL"]
        if start is not None and start[0] != float("inf"):
            timed.append(f"{ROW}.startDate <= {moment(-start[0], self._zone, up=True)}")
        parts = [(timed, f"{ROW}.startDate DESC, {ROW}.id")]
        if start is not None and start[0] == float("inf"):
            parts = []
        if query.since is None and query.until is None:
            parts.append(([f"{ROW}.startDate IS NULL"], f"{ROW}.id"))
        return parts


def _rows(answer: Iterable[Any], entity: str) -> list[Any]:
    """The rows of an answer without their wrapper. Raises BackendError when they are others."""
    if not all(isinstance(each, dict) and isinstance(each.get(entity), dict) for each in answer):
        raise unusable("catalogue", f"has other rows than of {entity}")
    rows = [each[entity] for each in answer]
    for row in rows:
        say.pid_of(row.get("id"))
    return rows


def _beyond(now: int, before: int, held: int) -> int:
    """Where to go on. Raises BackendError when the catalogue does not move on, or has more than can be held."""
    if now <= before or held > MOST:
        raise BackendError("The facility's catalogue has more than the portal can look through at once.")
    return now


async def _first(stream: AsyncIterator[tuple[Key, Row]], count: int) -> list[tuple[Key, Row]]:
    found = list[tuple[Key, Row]]()
    async for each in stream:
        found.append(each)
        if len(found) == count:
            break
    return found
