"""Datasets and their files, v4."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request

from tests.standins.scicat import access
from tests.standins.scicat.errors import Refused, unknown
from tests.standins.scicat.filters import BLOCK_KEYS, DATASET_KEYS, RELATIONS, checked, found, included
from tests.standins.scicat.mongo import Document, MongoError, selected_cast
from tests.standins.scicat.world import ADMIN_GROUPS, SciCat, User


class Datasets:
    """The handlers of `datasets`, `datasets/public`, `origdatablocks` and `origdatablocks/public`."""

    def __init__(self, world: SciCat) -> None:
        self._world = world

    def routes(self) -> Iterator[tuple[str, Any]]:
        """Paths below /api/v4; a pid's slash is encoded, and decoded before a path is matched."""
        for public in ("/public", ""):
            yield f"datasets{public}", self._list(public)
            yield f"datasets{public}/count", self._count(public)
            yield f"datasets{public}/fullfacet", self._facets(public)
            yield f"origdatablocks{public}", self._blocks(public)
        yield "datasets/public/{pid:path}", self.get_public
        yield "datasets/{pid:path}/datasetlifecycle", self.lifecycle
        yield "datasets/{pid:path}", self.get

    def _visible(self, rows: list[Document], user: User | None, public: str) -> list[Document]:
        if public:
            return [row for row in rows if row["isPublished"]]
        who = access.signed_in(user)
        every = ADMIN_GROUPS if rows is self._world.blocks else None
        return [
            row for row in rows if (access.sees(who, row, all_groups=every) if every else access.sees(who, row))
        ]

    def _list(self, public: str) -> Any:
        async def handle(request: Request, user: User | None) -> Any:
            rows = self._visible(self._world.datasets, user, public)
            asked = checked(request.query_params.get("filter"), DATASET_KEYS)
            relations = included(asked)
            return [self._with(row, relations, user) for row in found(rows, asked)]

        return handle

    def _blocks(self, public: str) -> Any:
        async def handle(request: Request, user: User | None) -> Any:
            rows = self._visible(self._world.blocks, user, public)
            asked = checked(request.query_params.get("filter"), BLOCK_KEYS)
            if asked.get("include"):
                raise unknown("what blocks include")
            return found(rows, asked, {} if asked.get("limits") else None)

        return handle

    def _count(self, public: str) -> Any:
        async def handle(request: Request, user: User | None) -> Any:
            rows = self._visible(self._world.datasets, user, public)
            asked = checked(request.query_params.get("filter"), DATASET_KEYS, ("where",))
            try:
                return {"count": len(selected_cast(rows, asked.get("where") or {}))}
            except MongoError:
                raise Refused(500, "Internal server error") from None

        return handle

    def _facets(self, public: str) -> Any:
        async def handle(request: Request, user: User | None) -> Any:
            rows = self._visible(self._world.datasets, user, public)
            facets = json.loads(request.query_params.get("facets", "[]"))
            fields = json.loads(request.query_params.get("fields", "{}"))
            if fields or set(facets) - DATASET_KEYS:
                raise unknown(f"facets of {facets} among {fields}")
            result: dict[str, Any] = {"all": [{"totalSets": len(rows)}] if rows else []}
            for facet in facets:
                seen: Counter[Any] = Counter()
                for row in rows:
                    value = row.get(facet)
                    seen.update(value if isinstance(value, list) else [value])
                result[facet] = [{"_id": name, "count": count} for name, count in seen.items()]
            return [result]

        return handle

    async def get_public(self, request: Request, user: User | None) -> Any:
        """A public dataset, or nothing."""
        row = self._row(request)
        return self._with(row, self._relations(request), user) if row and row["isPublished"] else None

    async def get(self, request: Request, user: User | None) -> Any:
        """A dataset that the user may read."""
        return self._with(self._readable(request, access.signed_in(user)), self._relations(request), user)

    async def lifecycle(self, request: Request, user: User | None) -> Any:
        """A dataset's life cycle."""
        return self._readable(request, access.signed_in(user))["datasetlifecycle"]

    def _row(self, request: Request) -> Document | None:
        return next((row for row in self._world.datasets if row["pid"] == request.path_params["pid"]), None)

    def _readable(self, request: Request, user: User) -> Document:
        row = self._row(request)
        if row is None:
            raise Refused(404, "dataset: null not found")
        if not access.may_read(user, row):
            raise Refused(403, "Unauthorized access")
        return row

    def _relations(self, request: Request) -> list[str]:
        return included({"include": request.query_params.getlist("include")})

    def _with(self, row: Document, relations: list[str], user: User | None) -> Document:
        if not relations:
            return row
        wanted = RELATIONS[:-1] if "all" in relations else relations
        return {**row, **{name: self._related(name, row, user) for name in wanted}}

    def _related(self, name: str, row: Document, user: User | None) -> list[Document]:
        if name == "instruments":
            return [each for each in self._world.instruments if each["pid"] in row.get("instrumentIds", ())]
        rows = {
            "proposals": [p for p in self._world.proposals if p["proposalId"] in row.get("proposalIds", ())],
            "samples": [s for s in self._world.samples if s["sampleId"] in row.get("sampleIds", ())],
            "origdatablocks": [b for b in self._world.blocks if b["datasetId"] == row["pid"]],
        }.get(name, [])
        if user is None:
            return [each for each in rows if each["isPublished"]]
        return [each for each in rows if access.sees(user, each)]
