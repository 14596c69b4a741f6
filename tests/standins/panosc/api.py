"""A stand-in for a facility's PaNOSC search API, over HTTP. It is not one, and no proof of what one does.

Written from `doc/query.md`, `common/models` and `common/mixins` of https://github.com/panosc-eu/search-api, and shares no
code with the API that Parasol serves. Strict: a path, parameter, filter key, relation or operator that it does not know is a 400
with LoopBack's error. Like the reference it sorts nothing, cuts a page before it joins, and joins where a scope has a `where`
or an `include`. Of a `where` it has equality, `and` and `or`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

Row = dict[str, Any]
KEYS = {"File": "id", "Parameter": "id", "Member": "id", "Person": "id", "Affiliation": "id"}
OWNED = {
    ("Dataset", "instrument"): ("Instrument", "instrumentId"), ("Member", "person"): ("Person", "personId"),
    ("Member", "affiliation"): ("Affiliation", "affiliationId"),
}  # fmt: skip
"""One object, which a key of mine names."""
OWNING = {
    ("Dataset", "files"): ("File", "datasetId"), ("Dataset", "parameters"): ("Parameter", "datasetId"),
    ("Document", "members"): ("Member", "documentId"), ("Document", "parameters"): ("Parameter", "documentId"),
    ("Instrument", "datasets"): ("Dataset", "instrumentId"),
}  # fmt: skip
"""Objects whose key names me."""
JOINED = {
    ("Dataset", "documents"): ("DocumentDataset", "datasetId", "documentId", "Document"),
    ("Dataset", "techniques"): ("DatasetTechnique", "datasetId", "techniqueId", "Technique"),
    ("Dataset", "samples"): ("DatasetSample", "datasetId", "sampleId", "Sample"),
    ("Document", "datasets"): ("DocumentDataset", "documentId", "datasetId", "Dataset"),
}
FOREIGN = {"instrumentId", "datasetId", "documentId", "personId", "affiliationId"}


class BadRequest(Exception):
    """What LoopBack answers with 400."""


class PanoscApi:
    """Objects by model with LoopBack's foreign keys, as `db.json` has them, served at `/api`."""

    def __init__(self, objects: dict[str, list[Row]] | None = None) -> None:
        self.objects: dict[str, list[Row]] = objects if objects is not None else {}
        self.asked: list[str] = []
        self.instead: Callable[[Request], Response | None] = lambda _: None
        paths = [(f"/api/{model}s", model) for model in ("Dataset", "Document", "Instrument")]
        routes = [Route(f"{path}/count", self._counts(model)) for path, model in paths]
        routes += [Route(path, self._lists(model)) for path, model in paths]
        routes.append(Route("/api/Datasets/{pid:path}/files/count", self._count_files))
        routes.append(Route("/api/Datasets/{pid:path}/files", self._files))
        self._app = Starlette(routes=routes, exception_handlers={BadRequest: _refused})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve; `instead` may answer first."""
        request = Request(scope)
        self.asked.append(f"{scope['path']}?{scope['query_string'].decode()}")
        await (self.instead(request) or self._app)(scope, receive, send)

    def put(self, model: str, **row: Any) -> None:
        """Add an object, or replace the one with its key."""
        key = KEYS.get(model, "pid")
        rows = self.objects.setdefault(model, [])
        if key in row and (at := [n for n, known in enumerate(rows) if known.get(key) == row[key]]):
            rows[at[0]] = row
        else:
            rows.append(row)

    def remove(self, model: str, key: str) -> None:
        """Delete one."""
        rows = self.objects[model]
        rows[:] = [row for row in rows if row[KEYS.get(model, "pid")] != key]

    # --- requests

    def _lists(self, model: str) -> Any:
        async def serve(request: Request) -> Response:
            found = self._find(model, self.objects.get(model, []), _parameter(request, "filter"))
            return JSONResponse([{**row, "score": 0} for row in found])

        return serve

    def _counts(self, model: str) -> Any:
        async def serve(request: Request) -> Response:
            rows = [row for row in self.objects.get(model, []) if _holds(_parameter(request, "where"), row)]
            return JSONResponse({"count": len(rows)})

        return serve

    def _of(self, request: Request) -> list[Row] | None:
        pid = request.path_params["pid"]
        if not [row for row in self.objects.get("Dataset", []) if row["pid"] == pid]:
            return None
        return [row for row in self.objects.get("File", []) if row["datasetId"] == pid]

    async def _files(self, request: Request) -> Response:
        files = self._of(request)
        asked = _parameter(request, "filter")
        return _unknown() if files is None else JSONResponse(self._find("File", files, asked))

    async def _count_files(self, request: Request) -> Response:
        files = self._of(request)
        return _unknown() if files is None else JSONResponse({"count": len(files)})

    # --- filters

    def _find(self, model: str, rows: list[Row], asked: Row) -> list[Row]:
        _known(asked, {"where", "include", "limit", "skip"})
        limit, skip = asked.get("limit", 0), asked.get("skip", 0)
        if any(not isinstance(n, int) or isinstance(n, bool) or n < 0 for n in (limit, skip)):
            raise BadRequest("limit and skip are whole numbers")
        page = [row for row in rows if _holds(asked.get("where", {}), row)][skip:]
        shown = [self._shown(model, row, asked.get("include", [])) for row in (page[:limit] if limit else page)]
        return [row for row in shown if row is not None]

    def _shown(self, model: str, row: Row, include: Any) -> Row | None:
        shown = {name: value for name, value in row.items() if name not in FOREIGN}
        for entry in include if isinstance(include, list) else [include]:
            named = {"relation": entry} if isinstance(entry, str) else entry
            _known(named, {"relation", "scope"})
            scope = named.get("scope", {})
            target, is_many, related = self._related(model, named.get("relation"), row)
            found = self._find(target, related, scope)
            if not found and (scope.get("where") or scope.get("include")):
                return None
            if is_many or found:
                shown[named["relation"]] = found if is_many else found[0]
        return shown

    def _related(self, model: str, name: Any, row: Row) -> tuple[str, bool, list[Row]]:
        if found := OWNED.get((model, name)):
            target, key = found
            return target, False, [r for r in self._rows(target) if r[KEYS.get(target, "pid")] == row.get(key)]
        mine = row[KEYS.get(model, "pid")]
        if found := OWNING.get((model, name)):
            target, key = found
            return target, True, [r for r in self._rows(target) if r.get(key) == mine]
        if (model, name) not in JOINED:
            raise BadRequest(f"Relation {name!r} is not defined for {model} model")
        table, near, far, target = JOINED[model, name]
        ends = [link[far] for link in self._rows(table) if link[near] == mine]
        return target, True, [r for end in ends for r in self._rows(target) if r["pid"] == end]

    def _rows(self, model: str) -> list[Row]:
        return self.objects.get(model, [])


def _holds(where: Any, row: Row) -> bool:
    if not isinstance(where, dict):
        raise BadRequest("where is an object")
    return all(_test(name, asked, row) for name, asked in where.items())


def _test(name: str, asked: Any, row: Row) -> bool:
    if name in ("and", "or"):
        parts = [_holds(each, row) for each in asked]
        return all(parts) if name == "and" else any(parts)
    if isinstance(asked, dict | list):
        raise BadRequest(f"this stand-in has no operator for {name}")
    return bool(row.get(name) == asked)


def _known(asked: Any, keys: set[str]) -> None:
    if not isinstance(asked, dict) or set(asked) - keys:
        raise BadRequest(f"an object with {sorted(keys)} was expected, not {asked!r}")


def _parameter(request: Request, name: str) -> Row:
    if set(request.query_params) - {name}:
        raise BadRequest("unknown parameter")
    try:
        asked = json.loads(request.query_params.get(name, "{}"))
    except ValueError:
        raise BadRequest(f"{name} is no JSON") from None
    if not isinstance(asked, dict):
        raise BadRequest(f"{name} is an object")
    return asked


async def _refused(_: Request, error: Exception) -> Response:
    return _error(400, "BadRequestError", str(error))


def _unknown() -> Response:
    return _error(404, "NotFoundError", 'Unknown "Dataset" id')


def _error(status: int, name: str, message: str) -> Response:
    return JSONResponse({"error": {"statusCode": status, "name": name, "message": message}}, status)
