"""The stand-in's other web door: `/ids/…`, as org.icatproject.ids.IdsService (ids.server, version of 11 April 2025,
9188381c) has it where storage has two levels and its unit is the dataset.

`archive` says which datasets are not on disk: those that are ARCHIVED and those that are RESTORING. As in IDS, files without
a location are none: a dataset without others is ONLINE, and so is an investigation that is hidden or not there, and nothing.
Without a session the status is that which the IDS's own reader sees, which is everything.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tests.standins.icat.rules import Rules
from tests.standins.icat.world import Icat

STATUS = {
    "BadRequestException": 400,
    "InsufficientPrivilegesException": 403,
    "NotFoundException": 404,
    "InternalException": 500,
}
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LISTS = ("investigationIds", "datasetIds", "datafileIds")


class IdsRefused(Exception):
    """An answer that is none: `code` is one of STATUS."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass
class Ids:
    """One IDS beside an ICAT: the state of each dataset that is not on disk, and who reads for those without a session."""

    icat: Icat
    archive: dict[int, str] = field(default_factory=dict)
    reader: str = "simple/idsreader"
    restores: list[int] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def routes(self) -> list[Route]:
        """The door, for the application of the ICAT."""

        def route(method: str, path: str, handler: Callable[[Request], Awaitable[Response]]) -> Route:
            async def endpoint(request: Request) -> Response:
                try:
                    return await handler(request)
                except IdsRefused as refused:
                    return JSONResponse({"code": refused.code, "message": refused.message}, STATUS[refused.code])

            return Route(path, endpoint, methods=[method])

        return [
            route("GET", "/ids/ping", self._ping),
            route("GET", "/ids/isTwoLevel", self._two_levels),
            route("GET", "/ids/getStatus", self._status),
            route("POST", "/ids/restore", self._restore),
        ]

    async def _ping(self, _: Request) -> Response:
        return PlainTextResponse("IdsOK")

    async def _two_levels(self, _: Request) -> Response:
        return PlainTextResponse("true")

    async def _status(self, request: Request) -> Response:
        given = _given(request.query_params.multi_items(), {"sessionId", "preparedId", *_LISTS})
        if "preparedId" in given:
            _uuid("preparedId", given["preparedId"])
            raise IdsRefused("NotFoundException", f"The preparedId {given['preparedId']} is not known")
        user = self._holder(given["sessionId"]) if "sessionId" in given else self.reader
        self.asked.append((user, "getStatus"))
        states = {self.archive.get(dataset, "ONLINE") for dataset in self._selected(given, user)}
        return PlainTextResponse(next((s for s in ("ARCHIVED", "RESTORING") if s in states), "ONLINE"))

    async def _restore(self, request: Request) -> Response:
        async with request.form() as form:
            given = _given(form.multi_items(), {"sessionId", *_LISTS})
        user = self._holder(given.get("sessionId"))
        self.asked.append((user, "restore"))
        for dataset in self._selected(given, user) & self.archive.keys():
            self.archive[dataset] = "RESTORING"
            self.restores.append(dataset)
        return Response(status_code=204)

    def _holder(self, session: str | None) -> str:
        _uuid("sessionId", session)
        user, until = self.icat.sessions.get(session or "", ("", self.icat.clock()))
        if until <= self.icat.clock():
            raise IdsRefused("InsufficientPrivilegesException", f"Unable to find user by sessionid: {session}")
        return user

    def _selected(self, given: dict[str, str], user: str) -> set[int]:
        """The datasets of a selection that have anything to be stored."""
        rows, rules = self.icat.rows, Rules(self.icat, user)
        investigations, datasets, files = (_ids(name, given.get(name)) for name in _LISTS)
        found = {self._seen(rules, "Dataset", number)["id"] for number in datasets}
        for number in files:
            file = self._seen(rules, "Datafile", number)
            if file.get("location") is None or file["dataset"] not in rules.searched("Dataset"):
                raise IdsRefused("NotFoundException", f"Datafile {number}")
            found.add(file["dataset"])
        inside = set(investigations) & rules.searched("Investigation")
        found |= {n for n in rules.searched("Dataset") if rows["Dataset"][n]["investigation"] in inside}
        stored = {row["dataset"] for row in rows["Datafile"].values() if row.get("location") is not None}
        return found & stored

    def _seen(self, rules: Rules, entity: str, number: int) -> dict[str, Any]:
        if number not in self.icat.rows[entity]:
            raise IdsRefused("NotFoundException", f"{entity}[id:{number}] not found.")
        if number not in rules.shown(entity):
            raise IdsRefused("InsufficientPrivilegesException", f"READ access to this {entity} is not allowed.")
        return self.icat.rows[entity][number]


def _given(pairs: Iterable[tuple[str, Any]], known: set[str]) -> dict[str, str]:
    given = dict[str, str]()
    for name, value in pairs:
        if name not in known or name in given or not isinstance(value, str):
            raise IdsRefused("BadRequestException", f"parameter {name} is unknown, or there twice")
        given[name] = value
    return given


def _uuid(name: str, text: str | None) -> None:
    if text is None or not _UUID.fullmatch(text):
        raise IdsRefused("BadRequestException", f"The {name} parameter '{text}' is not a valid UUID")


def _ids(name: str, text: str | None) -> list[int]:
    if text is None:
        return []
    parts = re.split(r"\s*,\s*", text)
    if not all(re.fullmatch(r"[+-]?[0-9]{1,18}", part) for part in parts):
        raise IdsRefused(
            "BadRequestException",
            f"The {name} parameter '{text}' is not a valid string representation of a comma separated list of longs",
        )
    return [int(part) for part in parts]
