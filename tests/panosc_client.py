"""Asks the PaNOSC search API without a server, and builds its filters."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from central_portal.panosc.app import SearchApi


class Client:
    """Asks the application as a browser would."""

    def __init__(self, records: Any, **settings: Any) -> None:
        self.records = records
        self._api = SearchApi(records, **settings)

    async def raw(self, path: str, query: str = "", method: str = "GET") -> tuple[int, bytes, dict[bytes, bytes]]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
        }
        await self._api(scope, receive, send)
        return sent[0]["status"], sent[1]["body"], dict(sent[0]["headers"])

    async def get(self, path: str, **parameters: Any) -> Any:
        query = "&".join(f"{k}={quote(v if isinstance(v, str) else json.dumps(v))}" for k, v in parameters.items())
        status, body, headers = await self.raw(path, query)
        found = json.loads(body)
        assert headers[b"content-type"].startswith(b"application/json")
        if status != 200:
            assert found["error"]["statusCode"] == status
            return status, found["error"]["message"]
        return found


def include(relation: str, where: Any = None, *inner: Any) -> dict[str, Any]:
    scope = ({"where": where} if where else {}) | ({"include": list(inner)} if inner else {})
    return {"relation": relation} | ({"scope": scope} if scope else {})


def pids(found: list[dict[str, Any]]) -> list[str]:
    return [each["pid"] for each in found]


def quantity(name: str, value: Any, unit: str) -> dict[str, Any]:
    return {"and": [{"name": name}, {"value": value}, {"unit": unit}]}
