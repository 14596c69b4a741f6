"""The API over HTTP: a small ASGI application, anonymous, GET and HEAD only.

    {root}/{Datasets|Documents|Instruments}?filter=   a list          /count?where=   {"count": n}
    {root}/…/{pid}?filter=                            one object; the pid percent-encoded
    {root}/Datasets/{pid}/files?filter=               its files       /files/count?where=

`?facility=` narrows to one facility. Errors are LoopBack's: {"error": {"statusCode", "name", "message"}}.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

from central_portal.panosc.filters import FILTER_BYTES, Query, parse, parse_where
from central_portal.panosc.finding import TOP, Finder, Shown
from central_portal.panosc.models import MODELS
from central_portal.panosc.records import OpenRecords
from shared.errors import InvalidRequest, NotFound, ParasolError

QUERY_BYTES = 3 * FILTER_BYTES  # percent-encoded
AT_ONCE = 8
WAITING = 64
TOO_LONG = "This took too long; narrow the filter."
BUSY = "Too many requests at once; try again shortly."
_JSON = [(b"content-type", b"application/json; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
_STATUS = {InvalidRequest: (400, "BadRequestError"), NotFound: (404, "NotFoundError")}


class SearchApi:
    """Serves open records. At most 8 requests are worked on at once; 64 more wait within their deadline."""

    def __init__(self, records: OpenRecords, root: str = "/api", deadline: float = 5.0) -> None:
        self._records, self._root, self._deadline = records, root.rstrip("/"), deadline
        self._free = asyncio.Semaphore(AT_ONCE)
        self._here = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request; never raises for what was asked."""
        if scope["method"] not in ("GET", "HEAD"):
            await _refuse(
                send, 405, "MethodNotAllowedError", "This interface is read with GET.", [(b"allow", b"GET, HEAD")]
            )
            return
        if self._here >= AT_ONCE + WAITING:
            await _refuse(send, 503, "ServiceUnavailableError", BUSY, [(b"retry-after", b"2")])
            return
        self._here += 1
        try:
            await self._serve(scope, send)
        finally:
            self._here -= 1

    async def _serve(self, scope: Any, send: Any) -> None:
        try:
            async with asyncio.timeout(self._deadline), self._free:
                body = orjson.dumps(await self._answer(scope))
        except ParasolError as error:
            status, name = _STATUS.get(type(error), (503, "ServiceUnavailableError"))
            await _refuse(send, status, name, error.message)
        except TimeoutError:
            await _refuse(send, 503, "ServiceUnavailableError", TOO_LONG)
        else:
            await _send(send, 200, b"" if scope["method"] == "HEAD" else body, len(body))

    async def _answer(self, scope: Any) -> Any:
        raw = scope.get("raw_path") or scope["path"].encode()
        path = raw.partition(b"?")[0].decode("ascii", "replace")
        parts = [unquote(part) for part in path.removeprefix(self._root).strip("/").split("/")]
        if not path.startswith(f"{self._root}/") or parts[0] not in TOP:
            raise NotFound("There is no method to handle GET on this path.")
        asked = _parameters(scope.get("query_string", b""))
        finder = Finder(self._records, asked.get("facility", ""))
        model, filter_, where = TOP[parts[0]], asked.get("filter", ""), asked.get("where", "")
        match parts[1:]:
            case []:
                return [{**each, "score": 0} for each in await finder.find(parse(model, filter_))]
            case ["count"]:
                return {"count": await finder.count(model, parse_where(model, where))}
            case [pid]:
                found = await finder.get(parse(model, filter_), pid)
                if found is None:
                    raise NotFound(f'Unknown "{model.name}" id "{pid[:200]}".')
                return found[0]
            case [pid, "files", *rest] if model.name == "Dataset" and rest in ([], ["count"]):
                return await self._files(finder, pid, filter_, where, bool(rest))
        raise NotFound("There is no method to handle GET on this path.")

    async def _files(self, finder: Finder, pid: str, filter_: str, where: str, counted: bool) -> Any:
        dataset = await finder.get(parse(MODELS["Dataset"], ""), pid)
        if dataset is None:
            raise NotFound(f'Unknown "Dataset" id "{pid[:200]}".')
        file = MODELS["File"]
        query = Query(file, parse_where(file, where)) if counted else parse(file, filter_)
        files: list[Shown] = await finder.children(dataset[1], query, "files", MODELS["Dataset"])
        return {"count": len(files)} if counted else files[query.skip : query.skip + query.limit]


def _parameters(query: bytes) -> dict[str, str]:
    if len(query) > QUERY_BYTES:
        raise InvalidRequest(f"The query is larger than {QUERY_BYTES} bytes.")
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=10)
    except ValueError:
        raise InvalidRequest("The query is not percent-encoded UTF-8.") from None
    if len({name for name, _ in pairs}) < len(pairs):
        raise InvalidRequest("A parameter is given twice.")
    return dict(pairs)


async def _refuse(send: Any, status: int, name: str, message: str, headers: Any = ()) -> None:
    body = orjson.dumps({"error": {"statusCode": status, "name": name, "message": message}})
    await _send(send, status, body, len(body), headers)


async def _send(send: Any, status: int, body: bytes, length: int, headers: Any = ()) -> None:
    sent = [*_JSON, (b"content-length", str(length).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": body})
