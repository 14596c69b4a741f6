"""The stand-in's web door: `/icat/…` as icat.server 6 has it (org.icatproject.exposed.ICATRest)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.standins.icat.jpql import Parser, Query, Refused, bad, kind, step
from tests.standins.icat.rules import readable
from tests.standins.icat.schema import MANY, ONE
from tests.standins.icat.world import Icat, Row

STATUS = {
    "BAD_PARAMETER": 400, "INTERNAL": 500, "INSUFFICIENT_PRIVILEGES": 403, "NO_SUCH_OBJECT_FOUND": 404, "SESSION": 403,
    "VALIDATION": 412, "NOT_IMPLEMENTED": 501,
}  # fmt: skip
AUTHENTICATORS = [
    {"mnemonic": "simple", "keys": [{"name": "username"}, {"name": "password", "hide": True}]},
    {"mnemonic": "db", "keys": [{"name": "username"}, {"name": "password", "hide": True}]},
    {"mnemonic": "anon", "keys": []},
]


def build(world: Icat) -> Starlette:
    """The application over this world."""
    icat = _Rest(world)

    def route(method: str, path: str, handler: Callable[[Request], Awaitable[Response]]) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                return await handler(request)
            except Refused as refused:
                return refusal(refused)

        return Route(path, endpoint, methods=[method])

    return Starlette(
        routes=[
            route("GET", "/icat/version", icat.version),
            route("GET", "/icat/properties", icat.properties),
            route("POST", "/icat/session", icat.login),
            route("GET", "/icat/session/{id}", icat.session),
            route("PUT", "/icat/session/{id}", icat.refresh),
            route("DELETE", "/icat/session/{id}", icat.logout),
            route("GET", "/icat/entityManager", icat.search),
        ],
        exception_handlers={404: _none},
    )


def refusal(refused: Refused) -> Response:
    """ICAT's body of an error."""
    return JSONResponse({"code": refused.code, "message": refused.message}, STATUS[refused.code])


async def _none(_: Request, __: Exception) -> Response:
    return refusal(Refused("NOT_IMPLEMENTED", "RESTful call not implemented"))


def _only(given: Any, names: set[str]) -> dict[str, str]:
    if set(given) != names:
        raise bad(f"parameters must be {sorted(names)}")
    return dict(given)


class _Rest:
    def __init__(self, world: Icat) -> None:
        self._world = world

    async def version(self, _: Request) -> Response:
        return JSONResponse({"version": "6.2.0"})

    async def properties(self, _: Request) -> Response:
        minutes = int(self._world.life.total_seconds() // 60)
        return JSONResponse({"maxEntities": self._world.most, "lifetimeMinutes": minutes,
                             "authenticators": AUTHENTICATORS, "containerType": "Payara"})  # fmt: skip

    async def login(self, request: Request) -> Response:
        try:
            asked = json.loads(_only(await request.form(), {"json"})["json"])
            plugin, given = asked["plugin"], [pair for each in asked["credentials"] for pair in each.items()]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise bad(f"unusable json: {error}") from None
        if plugin not in {each["mnemonic"] for each in AUTHENTICATORS}:
            raise Refused("SESSION", f"Authenticator mnemonic {plugin} not recognised")
        name, credentials = "anon", dict(given)
        if plugin != "anon":
            name = credentials.get("username", "")
            if plugin != "simple" or self._world.passwords.get(name) != credentials.get("password", ""):
                raise Refused("SESSION", "The username and password do not match")
        session = str(uuid.uuid4())
        self._world.logins += 1
        self._world.sessions[session] = (f"{plugin}/{name}", self._world.now + self._world.life)
        return JSONResponse({"sessionId": session})

    def _holder(self, session: str) -> str:
        user, until = self._world.sessions.get(session, ("", self._world.now))
        if until <= self._world.now:
            raise Refused("SESSION", f"Unable to find user by sessionid: {session}")
        return user

    async def session(self, request: Request) -> Response:
        session = request.path_params["id"]
        user = self._holder(session)
        left = (self._world.sessions[session][1] - self._world.now).total_seconds() / 60
        return JSONResponse({"userName": user, "remainingMinutes": left})

    async def refresh(self, request: Request) -> Response:
        session = request.path_params["id"]
        self._world.sessions[session] = (self._holder(session), self._world.now + self._world.life)
        return Response(status_code=204)

    async def logout(self, request: Request) -> Response:
        self._holder(request.path_params["id"])
        del self._world.sessions[request.path_params["id"]]
        return Response(status_code=204)

    async def search(self, request: Request) -> Response:
        given = _only(request.query_params, {"sessionId", "query"})
        user = self._holder(given["sessionId"])
        self._world.asked.append((user, given["query"]))
        return JSONResponse(answered(self._world, given["query"], user))


def answered(world: Icat, text: str, user: str) -> list[Any]:
    """A query's result as that user gets it. Raises Refused."""
    parser = Parser(world, text)
    query = parser.parse()
    entity = query.kinds[query.root]
    seen = readable(world, entity, user)
    rows = [binding for binding in parser.answer() if binding[query.root]["id"] in seen]
    alias, *path = query.selected.split(".")
    values: list[Any] = []
    pick = parser._path(query.selected, whole=True)
    for value in map(pick, rows):
        if not (query.distinct and value in values):
            values.append(value)
    if query.count:
        return [len(values)]
    first, count = query.limit
    values = values[first:] if count is None else values[first : first + count]
    if len(values) > world.most:
        raise Refused("VALIDATION", f"attempt to return more than {world.most} entities")
    if path:
        return [_plain(value) for value in values]
    return [{query.kinds[alias]: _shown(world, query, query.kinds[alias], row, user)} for row in values]


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).isoformat(timespec="milliseconds") if isinstance(value, datetime) else value


def _shown(world: Icat, query: Query, entity: str, row: Row, user: str) -> dict[str, Any]:
    """A row with what is included of it; nulls are left out and what the user may not read is too."""
    return _with(world, entity, row, query.includes, user)


def _with(world: Icat, entity: str, row: Row, includes: list[list[str]], user: str) -> dict[str, Any]:
    one = ONE.get(entity, {})
    said = {name: _plain(value) for name, value in row.items() if name not in one and value is not None}
    for relation in {path[0] for path in includes}:
        target = kind(entity, relation)
        seen = readable(world, target, user)
        deeper = [path[1:] for path in includes if path[0] == relation and len(path) > 1]
        there = [
            _with(world, target, r, deeper, user) for r in step(world, entity, row, relation) if r["id"] in seen
        ]
        if relation in MANY.get(entity, {}):
            said[relation] = there
        elif there:
            said[relation] = there[0]
    return said
