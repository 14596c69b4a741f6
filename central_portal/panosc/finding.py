"""Answers a query from the records: filters, includes with inner joins, pages; bounded in work and yielding."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from central_portal.panosc.filters import All, Include, Query, Test, Where
from central_portal.panosc.matching import match, weight
from central_portal.panosc.models import MODELS, Model, Row
from central_portal.panosc.records import Narrowing, OpenRecords
from shared.errors import InvalidRequest

WORK = 1_000_000
BATCH = 500
Shown = dict[str, Any]


class Budget:
    """The work that one request may cause, in tests of one property; about a microsecond each."""

    def __init__(self, work: int = WORK) -> None:
        self._left = work

    def spend(self, work: int) -> None:
        """Raises InvalidRequest when the request would look at too much."""
        self._left -= work
        if self._left < 0:
            raise InvalidRequest("The filter looks at too much; narrow it by facility, pid or fewer includes.")


class Finder:
    """One request's reading; make a new one for each."""

    def __init__(self, records: OpenRecords, facility: str = "", budget: Budget | None = None) -> None:
        self._records, self._facility, self._budget = records, facility, budget or Budget()

    async def find(self, query: Query) -> list[Shown]:
        """One page, by pid unless the query orders otherwise. Raises InvalidRequest when it takes too much."""
        joins = any(include.joins for include in query.include)
        found: list[Shown] = []
        skip = 0 if query.order else query.skip
        async for batch in self._records.rows(query.model.name, self._narrowing(query.where)):
            rows = await self._matching(query, batch)
            if not joins and not query.order:  # only what is shown needs its relations
                skipped = min(skip, len(rows))
                rows, skip = rows[skipped : skipped + query.limit - len(found)], skip - skipped
            shown = [each for each in await self._complete(query, rows) if each is not None]
            skipped = min(skip, len(shown)) if joins else 0
            skip -= skipped
            found += shown[skipped:]
            if not query.order and len(found) >= query.limit:
                break
        for name, descending in reversed(query.order):
            found.sort(key=partial(_sortable, name), reverse=descending)
        return found[query.skip if query.order else 0 :][: query.limit]

    async def count(self, model: Model, where: Where | None) -> int:
        """How many objects match."""
        query, total = Query(model, where), 0
        async for batch in self._records.rows(model.name, self._narrowing(where)):
            total += len(await self._matching(query, batch))
        return total

    async def get(self, query: Query, pid: str) -> tuple[Shown, Row] | None:
        """One object, with the includes of the query, and its row; None when there is none."""
        async for batch in self._records.rows(query.model.name, Narrowing(self._facility, (pid,))):
            for row in batch:
                if row["pid"] == pid and (shown := (await self._complete(query, [row]))[0]) is not None:
                    return shown, row
        return None

    async def children(self, row: Row, query: Query, relation: str, parent: Model) -> list[Shown]:
        """The objects on a relation's other end that answer the query; all, the caller cuts."""
        found = (await self._records.related(parent.relations[relation], [row]))[0]
        shown = await self._complete(query, await self._matching(query, found))
        return [each for each in shown if each is not None]

    def _narrowing(self, where: Where | None) -> Narrowing:
        for part in where.parts if isinstance(where, All) else (where,):
            if isinstance(part, Test) and part.property == "pid" and part.operator in ("eq", "inq"):
                values = part.value if isinstance(part.value, tuple) else (part.value,)
                if values and all(isinstance(value, str) for value in values):
                    return Narrowing(self._facility, values)
        return Narrowing(self._facility)

    async def _matching(self, query: Query, rows: Sequence[Row]) -> list[Row]:
        found: list[Row] = []
        each = weight(query.where)
        for at in range(0, len(rows), BATCH):
            batch = rows[at : at + BATCH]
            self._budget.spend(each * len(batch))
            matched = (match(query.model, query.where, row) for row in batch)
            found += [row for row in matched if row is not None]
            await asyncio.sleep(0)
        return found

    async def _complete(self, query: Query, rows: Sequence[Row]) -> list[Shown | None]:
        """Each row as it is shown with its includes; None where an inner join leaves it out."""
        shown: list[Shown | None] = [_shown(query.model, row) for row in rows]
        children: list[dict[str, dict[int, Shown]]] = [{} for _ in rows]
        for include in query.include:
            alive = [at for at, each in enumerate(shown) if each is not None]
            found = await self._included(include, [rows[at] for at in alive])
            for at, these in zip(alive, found, strict=True):
                if include.joins and not these:
                    shown[at] = None
                kept = children[at].setdefault(include.relation.name, {})
                for key, child in these.items():
                    kept[key] = {**kept.get(key, {}), **child}
        for each, relations in zip(shown, children, strict=True):
            if each is not None:
                _attach(query.model, each, relations)
        return shown

    async def _included(self, include: Include, rows: Sequence[Row]) -> list[dict[int, Shown]]:
        if not rows:
            return []
        related = await self._records.related(include.relation, rows)
        flat = [(at, key, row) for at, these in enumerate(related) for key, row in enumerate(these)]
        self._budget.spend(len(flat) * (1 + weight(include.scope.where)))
        result: list[dict[int, Shown]] = [{} for _ in rows]
        for start in range(0, len(flat), BATCH):
            part = flat[start : start + BATCH]
            matched = [(at, key, match(include.scope.model, include.scope.where, row)) for at, key, row in part]
            kept = [(at, key, row) for at, key, row in matched if row is not None]
            shown = await self._complete(replace(include.scope, where=None), [row for _, _, row in kept])
            for (at, key, _), child in zip(kept, shown, strict=True):
                if child is not None:
                    result[at][key] = child
            await asyncio.sleep(0)
        return [_page(include.scope, these) for these in result]


def _page(scope: Query, these: dict[int, Shown]) -> dict[int, Shown]:
    entries = list(these.items())
    for name, descending in reversed(scope.order):
        entries.sort(key=lambda entry: _sortable(name, entry[1]), reverse=descending)
    return dict(entries[scope.skip : scope.skip + scope.limit])


def _sortable(name: str, shown: Shown) -> tuple[bool, Any]:
    return (name in shown, shown.get(name, 0))


def _shown(model: Model, row: Row) -> Shown:
    return {name: row[name] for name in model.properties if row.get(name) is not None}


def _attach(model: Model, shown: Shown, relations: dict[str, dict[int, Shown]]) -> None:
    for name, found in relations.items():
        these = list(found.values())
        if model.relations[name].many:
            shown[name] = these
        elif these:
            shown[name] = these[0]


TOP = {f"{name}s": MODELS[name] for name in ("Dataset", "Document", "Instrument")}
