"""What one user may see of an ICAT: the service account asks, and every question carries that user's access rules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence, Set
from typing import Any
from zoneinfo import ZoneInfo

from facility_agent.adapters.catalogue import icat_map as say
from facility_agent.adapters.catalogue.icat_query import ROW, Source, moment, one_of, quoted, select
from facility_agent.adapters.catalogue.icat_question import asked, still_found, within, words
from facility_agent.adapters.catalogue.icat_rules import rules_of, sources, unknown_rule
from facility_agent.adapters.http import unusable
from shared import cursors
from shared.catalogue import (  # fmt: skip
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
Ask = Callable[[str], Any]
_PROPOSAL = {"Investigation": "name", "Dataset": "investigation.name", "Datafile": "dataset.investigation.name"}


class Icat:
    """Answers by ICAT's rules for a user of ICAT (`mnemonic/name`), read anew for every question.

    `ask` takes a query and awaits to its rows (`IcatClient.query`). `anyone` is the user whom everybody may be, `roots`
    those whom ICAT shows everything (its `rootUserNames`), `zone` the server's zone. `more` are proposals that the
    facility's own rules give in addition. Raises BackendError for a rule that
    applies and cannot be read, and BackendUnavailable and BackendError as `ask` does.
    """

    def __init__(
        self, ask: Ask, *, anyone: str = ANYONE, roots: Set[str] = frozenset(), zone: ZoneInfo | None = None
    ) -> None:
        self._ask, self._anyone, self._roots, self._zone = ask, anyone, roots, zone or ZoneInfo("UTC")

    async def search(self, query: SearchQuery, user: str, more: Set[str] = frozenset()) -> SearchPage:
        """One page in the order of `shared.catalogue.sort_key`. Raises InvalidRequest for a cursor not of this catalogue."""
        start = tuple(cursors.read(query.after, float, str)) if query.after else None
        joins, conditions = asked(query, self._zone)
        streams = [
            self._dated(source, joins, conditions, query, start, user, more)
            for source in await self._sources("Dataset", user, more)
        ]
        found: dict[str, tuple[Key, Any]] = {}
        for part in await _together([_first(stream, query.limit + 1) for stream in streams]):
            found |= {where[1]: (where, row) for where, row in part}
        ordered = sorted(found.values(), key=lambda each: each[0])
        page = ordered[: query.limit]
        opened = await self._open("Dataset", [row["id"] for _, row in page], user)
        datasets = tuple(say.dataset(row, row["id"] in opened) for _, row in page)
        return SearchPage(datasets, cursors.write(*page[-1][0]) if len(ordered) > query.limit else "")

    async def get(self, pid: str, user: str, more: Set[str] = frozenset()) -> Dataset:
        """One dataset. Raises NotFound when there is none or the user may not see it."""
        number = say.id_of(pid)
        queries = [
            select("Dataset", source, [f"{ROW}.id = {number}"], include=say.DATASET)
            for source in await self._sources("Dataset", user, more)
        ]
        rows = [
            row
            for part in await _together([self._ask(text) for text in queries])
            for row in _rows(part, "Dataset")
        ]
        if not rows:
            raise NotFound(say.NO_DATASET)
        row = (await self._veiled(rows[:1], SearchQuery(), user, more))[0]
        return say.dataset(row, number in await self._open("Dataset", [number], user))

    async def proposals(self, query: ProposalQuery, user: str, more: Set[str] = frozenset()) -> ProposalPage:
        """One page of investigations by name; those that share a name are one proposal, told by the first."""
        after = cursors.read(query.after, str)[0] if query.after else ""
        conditions = [words(word, f"{ROW}.name", f"{ROW}.title", f"{ROW}.summary") for word in query.text.split()]
        conditions += [f"{ROW}.name {one_of(query.proposals)}"] if query.proposals else []
        seen = await self._sources("Investigation", user, more)
        names = sorted(name for name in await self._all(seen, "Investigation", conditions, "name") if name > after)
        page = names[: query.limit]
        rows = await self._named(seen, page) if page else {}
        opened = await self._open("Investigation", [row["id"] for row in rows.values()], user)
        told: tuple[Proposal, ...] = tuple(
            say.proposal(rows[n], rows[n]["id"] in opened) for n in page if n in rows
        )
        return ProposalPage(told, cursors.write(page[-1]) if len(names) > query.limit else "")

    async def files(self, wanted: GetFiles, user: str, more: Set[str] = frozenset()) -> FilePage:
        """One page of a dataset's files by path. Raises NotFound as `get` does."""
        after = cursors.read(wanted.after, str)[0] if wanted.after else ""
        dataset = say.id_of((await self.get(wanted.pid, user, more)).pid)
        found = set[DataFile]()
        for source in await self._sources("Datafile", user, more):
            first = 0
            while True:
                text = select("Datafile", source, [f"{ROW}.dataset.id = {dataset}", f"{ROW}.id > {first}"], order=f"{ROW}.id", include=("dataset",), limit=(0, CHUNK))  # fmt: skip
                rows = _rows(await self._ask(text), "Datafile")
                found |= {say.file(row) for row in rows}
                if len(rows) < CHUNK:
                    break
                first = _beyond(rows[-1]["id"], first, len(found))
        later = sorted((each for each in found if each.path > after), key=lambda each: each.path)
        page = tuple(later[: wanted.limit])
        return FilePage(page, cursors.write(page[-1].path) if len(later) > wanted.limit else "", len(found))

    async def instruments(self) -> tuple[str, ...]:
        """The instruments of what anyone may see, sorted."""
        seen, after = set[str](), ""
        while True:
            page = await self.search(SearchQuery(limit=100, after=after), self._anyone)
            seen |= {dataset.instrument for dataset in page.datasets if dataset.instrument}
            after = page.next
            if not after:
                return tuple(sorted(seen))

    async def _sources(self, entity: str, user: str, more: Set[str] = frozenset()) -> Sequence[Source]:
        if user in self._roots:
            return (Source(),)
        table, groups = await asyncio.gather(
            self._ask("SELECT r FROM Rule r INCLUDE r.grouping"),
            self._ask(
                select("UserGroup", Source("ug"), [f"ug.user.name = {quoted(user)}"], what="ug.grouping.id")
            ),
        )
        if not table:
            raise unknown_rule() from ValueError(
                "the service account sees no rules: is it one of ICAT's rootUserNames?"
            )
        seen = sources(rules_of(table), entity, user, frozenset(groups))
        if not more:
            return seen
        return (*seen, Source(where=f"o.{_PROPOSAL[entity]} {one_of(sorted(more))}"))

    async def _veiled(self, rows: list[Any], query: SearchQuery, user: str, more: Set[str]) -> list[Any]:
        """The rows without those investigations (and samples of theirs) that the user may not see: a dataset can be
        published alone, and then neither shows its investigation nor is found by it.
        """
        behind = {row["id"]: say.part(row, "investigation").get("id") for row in rows}
        shown = await self._among("Investigation", {n for n in behind.values() if type(n) is int}, user, more)
        found = []
        for row in rows:
            if behind[row["id"]] in shown:
                found.append(row)
            elif still_found(query, alone := {**row, "investigation": {}, "sample": {}}):
                found.append(alone)
        return found

    async def _open(self, entity: str, numbers: Iterable[int], user: str) -> set[int]:
        """Those of these rows, which the user sees, that anyone may see."""
        return set(numbers) if user == self._anyone else await self._among(entity, numbers, self._anyone)

    async def _among(
        self, entity: str, numbers: Iterable[int], user: str, more: Set[str] = frozenset()
    ) -> set[int]:
        """Those of these rows that the user may see."""
        wanted = sorted(numbers)
        if not wanted or user in self._roots:
            return set(wanted)
        texts = [
            select(entity, source, [f"{ROW}.id {one_of(wanted)}"], what=f"{ROW}.id")
            for source in await self._sources(entity, user, more)
        ]
        return {number for part in await _together([self._ask(text) for text in texts]) for number in part}

    async def _all(self, seen: Sequence[Source], entity: str, conditions: list[str], attribute: str) -> set[str]:
        found = set[str]()
        for source in seen:
            first = 0
            while True:
                text = select(entity, source, conditions, what=f"{ROW}.{attribute}", order=f"{ROW}.{attribute}", limit=(first, CHUNK))  # fmt: skip
                rows = await self._ask(text)
                if not all(isinstance(each, str) for each in rows):
                    raise unusable("catalogue", f"has no text as {attribute}")
                found.update(rows)
                if len(rows) < CHUNK:
                    break
                first = _beyond(first + CHUNK, first, len(found))
        return found

    async def _named(self, seen: Sequence[Source], names: list[str]) -> dict[str, Any]:
        texts = [
            select(
                "Investigation",
                source,
                [f"{ROW}.name {one_of(names)}"],
                order=f"{ROW}.id",
                include=say.INVESTIGATION,
            )
            for source in seen
        ]
        rows: dict[str, Any] = {}
        for part in await _together([self._ask(text) for text in texts]):
            for row in _rows(part, "Investigation"):
                if row.get("name") not in rows or row["id"] < rows[row["name"]]["id"]:
                    rows[row["name"]] = row
        return rows

    async def _dated(
        self,
        source: Source,
        joins: str,
        conditions: list[str],
        query: SearchQuery,
        start: tuple[Any, ...] | None,
        user: str,
        more: Set[str],
    ) -> AsyncIterator[tuple[Key, Any]]:
        """The rows of one source after `start`, in order: those with a time, then those without.

        ICAT's literals know whole seconds, its columns may know more: what is at the edge is asked for and judged here.
        """
        timed = [f"{ROW}.startDate IS NOT NULL"]
        if start is not None and start[0] != float("inf"):
            timed.append(f"{ROW}.startDate <= {moment(-start[0], self._zone, up=True)}")
        parts = [(timed, f"{ROW}.startDate DESC, {ROW}.id")]
        if start is not None and start[0] == float("inf"):
            parts = []
        if query.since is None and query.until is None:
            parts.append(([f"{ROW}.startDate IS NULL"], f"{ROW}.id"))
        for times, order in parts:
            first, size = 0, query.limit + 1
            while True:
                text = select("Dataset", source, conditions + times, joins=joins, order=order, include=say.DATASET, limit=(first, size))  # fmt: skip
                rows = _rows(await self._ask(text), "Dataset")
                for row in await self._veiled(rows, query, user, more):
                    where = key(say.seconds(row, "startDate"), say.pid_of(row["id"]))
                    if (start is None or where > start) and within(query, where[0]):
                        yield where, row
                if len(rows) < size:
                    break
                first = _beyond(first + size, first, first)


def _rows(answer: Any, entity: str) -> list[Any]:
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


async def _first(stream: AsyncIterator[tuple[Key, Any]], count: int) -> list[tuple[Key, Any]]:
    found = list[tuple[Key, Any]]()
    async for each in stream:
        found.append(each)
        if len(found) == count:
            break
    return found


async def _together(waiting: Sequence[Any]) -> list[Any]:
    """All of them at the same time; the first error ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in waiting]
    except ExceptionGroup as several:
        first = several.exceptions[0]
        raise first from first.__cause__
    return [task.result() for task in tasks]
