"""The stand-in's web door: health, sign-in, tokens, instruments and proposals (v3), and what v4 adds."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.standins.scicat import access
from tests.standins.scicat.datasets import Datasets
from tests.standins.scicat.errors import Refused, unknown
from tests.standins.scicat.jobs import Jobs
from tests.standins.scicat.mongo import Document, MongoError, ordered, selected_cast
from tests.standins.scicat.world import SciCat, User

Handler = Callable[[Request, User | None], Awaitable[Any]]
CREATED = {("POST", "login"), ("POST", "jwt"), ("POST", "jobs")}


def _default(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    raise TypeError(type(value).__name__)


def answer(value: Any, status: int = 200) -> Response:
    """Nest sends nothing at all for null."""
    if value is None:
        return Response(status_code=status)
    return Response(json.dumps(value, default=_default), status, media_type="application/json; charset=utf-8")


def build(world: SciCat) -> Starlette:
    """The application over this world."""

    def route(path: str, handler: Handler, method: str = "GET") -> Route:
        async def endpoint(request: Request) -> Response:
            line = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            authorization = request.headers.get("authorization")
            world.asked.append((method, line, authorization or ""))
            try:
                value = await handler(request, world.holder(authorization))
            except Refused as refused:
                return answer(refused.body, refused.status)
            return answer(value, 201 if (method, path.rpartition("/")[2]) in CREATED else 200)

        return Route(path, endpoint, methods=[method])

    own, datasets, jobs = _V3(world), Datasets(world), Jobs(world)
    v3, v4 = "/api/v3", "/api/v4"
    return Starlette(
        routes=[
            route(f"{v3}/health", own.health),
            route(f"{v3}/auth/login", own.login, "POST"),
            route(f"{v3}/auth/whoami", own.whoami),
            route(f"{v3}/useridentities/findOne", own.identity),
            route(f"{v3}/users/{{id}}/jwt", own.jwt, "POST"),
            route(f"{v3}/instruments", own.instruments),
            route(f"{v3}/proposals", own.proposals),
            route(f"{v3}/proposals/{{pid:path}}", own.proposal),
            *(route(f"{v4}/{path}", handler) for path, handler in datasets.routes()),
            route(f"{v4}/jobs", jobs.create, "POST"),
            route(f"{v4}/jobs", jobs.list),
            route(f"{v4}/jobs/{{id}}", jobs.get),
        ],
        exception_handlers={404: _no_route},
    )


async def _no_route(request: Request, _: Exception) -> Response:
    return answer(Refused(404, f"Cannot {request.method} {request.url.path}").body, 404)


async def body_of(request: Request, allowed: set[str], needed: set[str]) -> dict[str, Any]:
    """A JSON object with these properties alone. Raises Refused (400) in the validator's words."""
    try:
        value = json.loads(await request.body() or b"{}")
    except ValueError as error:
        raise Refused(400, str(error)) from None
    if not isinstance(value, dict):
        raise unknown("a body that is no object")
    wrong = [f"property {key} should not exist" for key in value if key not in allowed]
    wrong += [f"{key} must be a string" for key in needed if not isinstance(value.get(key), str)]
    if wrong:
        raise Refused(400, wrong)
    return value


class _V3:
    def __init__(self, world: SciCat) -> None:
        self._world = world

    async def health(self, _: Request, __: User | None) -> Any:
        return {"status": "ok", "info": {}, "error": {}, "details": {}}

    async def login(self, request: Request, _: User | None) -> Any:
        given = await body_of(request, {"username", "password"}, set())
        for user in self._world.users.values():
            if user.strategy == "local" and user.password and user.username == given.get("username"):
                if user.password != given.get("password"):
                    break
                token = self._world.token(user)
                return {"access_token": token, "id": token, "expires_in": self._world.life, "ttl": self._world.life,
                        "created": datetime.now(UTC), "userId": user.id, "user": user.shown()}  # fmt: skip
        raise Refused(401, None)

    async def whoami(self, _: Request, user: User | None) -> Any:
        if user is None:
            return None
        return {"_id": user.id, "username": user.username, "email": user.email, "currentGroups": user.groups,
                "authStrategy": user.strategy}  # fmt: skip

    async def identity(self, request: Request, user: User | None) -> Any:
        asking = access.signed_in(user)
        where = json.loads(request.query_params.get("filter", "{}")).get("where", {})
        if not access.is_admin(asking):
            where = {"userId": asking.id, **where}
        found = selected_cast([each.identity() for each in self._world.users.values()], where)
        if not found:
            raise Refused(404, None)
        return found[0]

    async def jwt(self, request: Request, user: User | None) -> Any:
        if not access.is_admin(access.signed_in(user)):
            raise Refused(403, "Forbidden resource")
        given = await body_of(request, {"expiresIn"}, set())
        wanted = self._world.users.get(request.path_params["id"])
        if wanted is None:
            return None
        life = given.get("expiresIn")
        if life is not None and not str(life).isdigit():
            raise unknown(f"a life of {life}")
        return {"jwt": self._world.token(wanted, int(life) if life else None)}

    async def instruments(self, request: Request, _: User | None) -> Any:
        return self._list(self._world.instruments, _parsed(request, "filter"))

    async def proposals(self, request: Request, user: User | None) -> Any:
        asked = _parsed(request, "filters")
        return self._list(
            self._world.proposals, {**asked, "where": access.narrowed(user, asked.get("where") or {})}
        )

    async def proposal(self, request: Request, user: User | None) -> Any:
        pid = request.path_params["pid"]
        row = next((row for row in self._world.proposals if row["proposalId"] == pid), None)
        if row is None:
            raise Refused(404, f"Proposal: {pid} not found")
        groups = set(user.groups) if user else set()
        if not (
            row["isPublished"]
            or access.is_admin(user)
            or row["ownerGroup"] in groups
            or groups & {*row["accessGroups"]}
        ):
            raise Refused(403, "Unauthorized to this proposal")
        return row

    def _list(self, rows: list[Document], asked: dict[str, Any]) -> list[Document]:
        limits = asked.get("limits") or {}
        if unexpected := {*asked, *limits} - {"where", "limits", "limit", "skip", "sort"}:
            raise unknown(f"{unexpected} in a v3 filter")
        try:
            found = ordered(selected_cast(rows, asked.get("where") or {}), limits.get("sort") or {})
        except MongoError as error:
            raise Refused(500, str(error)) from None
        skip = limits.get("skip", 0)
        return found[skip : skip + (limits.get("limit", 100) or len(found))]


def _parsed(request: Request, name: str) -> dict[str, Any]:
    try:
        value = json.loads(request.query_params.get(name, "{}"))
    except ValueError:
        raise Refused(500, "Internal server error") from None
    if not isinstance(value, dict):
        raise unknown("a filter that is no object")
    return value
