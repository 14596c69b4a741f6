"""The stand-in's web door: `/icat/…` as org.icatproject.exposed.ICATRest has it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.standins.icat.answers import answered
from tests.standins.icat.errors import Refused, bad, unknown
from tests.standins.icat.ids import Ids
from tests.standins.icat.rules import Rules
from tests.standins.icat.world import Icat

VERSION = "6.2.0"
FORM = "application/x-www-form-urlencoded"


def build(world: Icat, ids: Ids | None = None) -> Starlette:
    """The application over this world, with the IDS beside it when there is one. Raises Refused when the world has a rule that is not known."""
    Rules(world, "")
    icat = _Rest(world)

    def route(method: str, path: str, handler: Callable[[Request], Awaitable[Response]]) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                return await handler(request)
            except Refused as refused:
                return JSONResponse(refused.body, refused.status)

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
            *(ids.routes() if ids else ()),
        ],
        exception_handlers={404: _not_found, 405: _not_allowed},
    )


async def _not_found(_: Request, __: Exception) -> Response:
    refused = Refused("NOT_IMPLEMENTED", "Operation not implemented by this ICAT server.")
    return JSONResponse(refused.body, refused.status)


async def _not_allowed(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    refused = Refused("INTERNAL", "class jakarta.ws.rs.NotAllowedException HTTP 405 Method Not Allowed")
    return JSONResponse(refused.body, refused.status)


def _given(pairs: Iterable[tuple[str, Any]], known: set[str]) -> dict[str, str]:
    """Parameters by name; one that is unknown or given twice is refused, where ICAT would not look at it."""
    given = dict[str, str]()
    for name, value in pairs:
        if name not in known or name in given or not isinstance(value, str):
            raise bad(f"parameter {name} is unknown, or there twice")
        given[name] = value
    return given


def _credentials(text: str) -> tuple[str, dict[str, str]]:
    try:
        asked = json.loads(text)
    except ValueError as error:
        raise Refused("INTERNAL", f"class jakarta.json.stream.JsonParsingException {error}") from None
    listed = asked.get("credentials") if isinstance(asked, dict) else None
    if (
        not isinstance(listed, list)
        or set(asked) != {"plugin", "credentials"}
        or not isinstance(asked["plugin"], str)
    ):
        raise bad("json must have a plugin and a list of credentials")
    pairs = [pair for each in listed if isinstance(each, dict) and len(each) == 1 for pair in each.items()]
    if len(pairs) != len(listed) or not all(isinstance(value, str) for _, value in pairs):
        raise bad("each of the credentials must be one name with its text")
    return asked["plugin"], dict(pairs)


class _Rest:
    def __init__(self, world: Icat) -> None:
        self._world = world

    async def version(self, request: Request) -> Response:
        _given(request.query_params.multi_items(), set())
        return JSONResponse({"version": VERSION})

    async def properties(self, request: Request) -> Response:
        _given(request.query_params.multi_items(), set())
        plugins = [
            {"mnemonic": name, "keys": plugin.described} for name, plugin in self._world.authenticators.items()
        ]
        minutes = int(self._world.life.total_seconds() // 60)
        return JSONResponse({"maxEntities": self._world.most, "lifetimeMinutes": minutes, "authenticators": plugins,
                             "containerType": "Payara"})  # fmt: skip

    async def login(self, request: Request) -> Response:
        _given(request.query_params.multi_items(), set())
        if request.headers.get("content-type", "").partition(";")[0].strip() != FORM:
            raise Refused("INTERNAL", "class jakarta.ws.rs.NotSupportedException HTTP 415 Unsupported Media Type")
        async with request.form() as form:
            given = _given(form.multi_items(), {"json"})
        if "json" not in given:
            raise bad("json must not be null")
        plugin, credentials = _credentials(given["json"])
        if plugin not in self._world.authenticators:
            raise Refused("SESSION", f"Authenticator mnemonic {plugin} not recognised")
        authenticator = self._world.authenticators[plugin]
        if set(credentials) != set(authenticator.keys) or not all(credentials.values()):
            raise Refused("SESSION", f"{' and '.join(authenticator.keys) or 'nothing'} cannot be null or empty.")
        user, session = authenticator.check(credentials), str(uuid.uuid4())
        self._world.sessions[session] = (user, self._world.clock() + self._world.life)
        return JSONResponse({"sessionId": session})

    def _holder(self, session: str) -> str:
        if not session:
            raise Refused("SESSION", "Session Id cannot be null or empty.")
        user, until = self._world.sessions.get(session, ("", self._world.clock()))
        if until <= self._world.clock():
            raise Refused("SESSION", f"Unable to find user by sessionid: {session}")
        return user

    def _addressed(self, request: Request) -> tuple[str, str]:
        _given(request.query_params.multi_items(), set())
        session = str(request.path_params["id"])
        return session, self._holder(session)

    async def session(self, request: Request) -> Response:
        session, user = self._addressed(request)
        left = (self._world.sessions[session][1] - self._world.clock()).total_seconds() / 60
        return JSONResponse({"userName": user, "remainingMinutes": left})

    async def refresh(self, request: Request) -> Response:
        session, user = self._addressed(request)
        self._world.sessions[session] = (user, self._world.clock() + self._world.life)
        return Response(status_code=204)

    async def logout(self, request: Request) -> Response:
        session, _ = self._addressed(request)
        del self._world.sessions[session]
        return Response(status_code=204)

    async def search(self, request: Request) -> Response:
        given = _given(request.query_params.multi_items(), {"sessionId", "query", "id"})
        if "query" not in given:
            raise bad("query is not set")
        user = self._holder(given.get("sessionId", ""))
        if "id" in given:
            raise unknown("the search for one id")
        self._world.asked.append((user, given["query"]))
        return JSONResponse(answered(self._world, given["query"], user))
