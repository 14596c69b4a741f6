"""A stand-in for a user office: not one, and no proof of what yours does.

It was written from API.md of Calipsoplus/calipsoplus-backend (MIT), the seed project's contract between a portal and a
facility, and from the requests that its services make; nothing of it was copied. The services of that contract were
written with Django REST framework, whose pages these are: `next` is a whole address, a page that is not there is 404 in
its words. It is strict: an argument that the contract does not know is 400, wrong or missing credentials are 403.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

ARGUMENTS = {"search", "ordering", "page_size", "page"}
LARGEST = 100


@dataclass
class Office:
    """Who is known, who may use what, and who took part in what. `asked` is every request, in order."""

    username: str = "parasol"
    password: str = "correct horse"
    named: str = "proposal_id"
    authorized: dict[str, bool] = field(default_factory=dict)
    experiments: dict[str, list[str]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def put(self, login: str, *proposals: str, authorized: bool = True) -> None:
        """Somebody is known, with these proposals."""
        self.authorized[login], self.experiments[login] = authorized, list(proposals)

    def remove(self, login: str) -> None:
        """Nobody knows them any more."""
        self.authorized.pop(login, None)
        self.experiments.pop(login, None)


def build(office: Office) -> Starlette:
    """The application over this office."""
    door = _Door(office)
    return Starlette(
        routes=[
            Route("/is_staff/", door.is_authorized, methods=["POST"]),
            Route("/experiments/{login}/", door.experiments, methods=["GET"]),
        ]
    )


class _Door:
    def __init__(self, office: Office) -> None:
        self._office = office

    def _refused(self, request: Request) -> Response | None:
        self._office.asked.append((request.method, request.url.path))
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        wanted = f"{self._office.username}:{self._office.password}".encode()
        if kind != "Basic" or given != base64.b64encode(wanted).decode():
            return _said(403, "Authentication credentials were not provided.")
        return None

    async def is_authorized(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        try:
            given: Any = json.loads(await request.body())
        except ValueError:
            given = None
        login = given.get("login") if isinstance(given, dict) and given.keys() == {"login"} else None
        if not isinstance(login, str) or request.headers.get("content-type") != "application/json":
            return _said(400, "Expected 'login'")
        if login not in self._office.authorized:
            return _said(404, "User not found")
        return JSONResponse({"result": self._office.authorized[login]})

    async def experiments(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        asked, login = request.query_params, request.path_params["login"]
        numbers = (asked.get("page", ""), asked.get("page_size", ""))
        if {*asked} - ARGUMENTS or not all(text.isdigit() and int(text) > 0 for text in numbers):
            return _said(400, "Expected 'page' and 'page_size'")
        if login not in self._office.experiments:
            return _said(404, "Not found.")
        return self._page(request, self._office.experiments[login], int(numbers[0]), min(int(numbers[1]), LARGEST))

    def _page(self, request: Request, names: list[str], number: int, size: int) -> Response:
        begin, rows = (number - 1) * size, names[(number - 1) * size : number * size]
        if number > 1 and not rows:
            return _said(404, "Invalid page.")

        def at(page: int) -> str:
            return str(request.url.include_query_params(page=page))

        return JSONResponse({
            "count": len(names), "next": at(number + 1) if begin + size < len(names) else None,
            "previous": at(number - 1) if number > 1 else None,
            "results": [_experiment(self._office.named, name) for name in rows],
        })  # fmt: skip


def _experiment(key: str, name: str) -> dict[str, Any]:
    path = json.dumps([{"name": "data", "hostPath": {"path": "/etc"}}])
    session = {"session_number": "1", "start_date": "2024-01-01T08:00:00Z", "end_date": "2024-01-02T08:00:00Z",
               "subject": "", "body": "", "data_set_path": path}  # fmt: skip
    return {"subject": f"About {name}", key: name, "body": "", "beam_line": "BL-1", "uid": 0, "gid": 0,
            "sessions": [session]}  # fmt: skip


def _said(status: int, why: str) -> Response:
    return JSONResponse({"detail": why}, status)
