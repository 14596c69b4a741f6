"""The stand-in of IDS tells where data is to those who may read it, and keeps IDS's surprises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import aiohttp
import pytest

from tests.icat_dump import dumped
from tests.standins.icat import Ids, build, serving

pytestmark = pytest.mark.needs("icat-data")
NOBODYS = "00000000-0000-0000-0000-000000000000"


@dataclass
class Door:
    ids: Ids
    base: str
    http: aiohttp.ClientSession

    def number(self, entity: str, name: str) -> int:
        return self.ids.icat.named(entity, name)

    def session(self, user: str) -> str:
        key = f"00000000-0000-0000-0000-{len(self.ids.icat.sessions) + 1:012d}"
        self.ids.icat.sessions[key] = (user, self.ids.icat.clock() + timedelta(hours=1))
        return key

    async def status(self, **query: object) -> tuple[int, str]:
        """The status or the code of a refusal."""
        given = {name: str(value) for name, value in query.items()}
        async with self.http.get(f"{self.base}/ids/getStatus", params=given) as answer:
            return answer.status, await answer.text() if answer.status == 200 else (await answer.json())["code"]

    async def restore(self, **form: object) -> tuple[int, str]:
        given = {name: str(value) for name, value in form.items()}
        async with self.http.post(f"{self.base}/ids/restore", data=given) as answer:
            return answer.status, "" if answer.status == 204 else (await answer.json())["code"]


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    world = dumped()
    for row in world.rows["Datafile"].values():
        row["location"] = f"files/{row['id']}"
    ids = Ids(world)
    async with serving(build(world, ids)) as base, aiohttp.ClientSession() as http:
        yield Door(ids, base, http)


async def test_archived_data_is_restored_when_asked_and_then_there(door: Door) -> None:
    session, dataset = door.session("db/jdoe"), door.number("Dataset", "e201215")
    asked = {"sessionId": session, "datasetIds": dataset}
    assert await door.status(**asked) == (200, "ONLINE")
    door.ids.archive[dataset] = "ARCHIVED"
    assert await door.status(**asked) == (200, "ARCHIVED")
    assert await door.restore(**asked) == (204, "")
    assert await door.status(**asked) == (200, "RESTORING")
    del door.ids.archive[dataset]
    assert await door.status(**asked) == (200, "ONLINE")
    assert door.ids.asked.count(("db/jdoe", "restore")) == 1


async def test_the_worst_state_of_a_selection_is_told(door: Door) -> None:
    session = door.session("db/nbour")
    first, second = door.number("Dataset", "e208945"), door.number("Dataset", "e208947")
    door.ids.archive.update({first: "RESTORING", second: "ARCHIVED"})
    assert await door.status(sessionId=session, datasetIds=f"{first}, {second}") == (200, "ARCHIVED")
    assert await door.status(sessionId=session, datasetIds=first) == (200, "RESTORING")
    file = door.number("Datafile", "e208947.nxs")
    assert await door.status(sessionId=session, datafileIds=file) == (200, "ARCHIVED")
    whole = door.number("Investigation", "12100409-ST")
    assert await door.status(sessionId=session, investigationIds=whole) == (200, "ARCHIVED")


async def test_what_may_not_be_read_is_neither_told_nor_restored(door: Door) -> None:
    session, dataset = door.session("db/ahau"), door.number("Dataset", "e201215")
    file, whole = door.number("Datafile", "e201215.nxs"), door.number("Investigation", "08100122-EF")
    door.ids.archive[dataset] = "ARCHIVED"
    refused = (403, "InsufficientPrivilegesException")
    for given in ({"datasetIds": dataset}, {"datafileIds": file}):
        assert await door.status(sessionId=session, **given) == refused
        assert await door.restore(sessionId=session, **given) == refused
    assert await door.status(sessionId=session, investigationIds=whole) == (200, "ONLINE"), (
        "hidden: nothing selected"
    )
    assert await door.restore(sessionId=session, investigationIds=whole) == (204, "")
    assert door.ids.archive == {dataset: "ARCHIVED"}
    assert await door.status(datasetIds=dataset) == (200, "ARCHIVED"), "without a session the reader looks"


async def test_files_without_a_location_are_none(door: Door) -> None:
    session, dataset = door.session("db/jdoe"), door.number("Dataset", "e201215")
    file = door.number("Datafile", "e201215.nxs")
    door.ids.archive[dataset] = "ARCHIVED"
    door.ids.icat.rows["Datafile"][file]["location"] = None
    assert await door.status(sessionId=session, datasetIds=dataset) == (200, "ONLINE")
    assert await door.status(sessionId=session, datafileIds=file) == (404, "NotFoundException")


async def test_what_is_no_call_of_ids_is_refused(door: Door) -> None:
    session, dataset = door.session("db/jdoe"), door.number("Dataset", "e201215")
    door.ids.archive[dataset] = "ARCHIVED"
    for given, expected in (
        ({"sessionId": "x", "datasetIds": dataset}, (400, "BadRequestException")),
        ({"sessionId": session, "datasetIds": "1 OR 1"}, (400, "BadRequestException")),
        ({"sessionId": session, "datasetIds": ""}, (400, "BadRequestException")),
        ({"sessionId": session, "datasets": dataset}, (400, "BadRequestException")),
        ({"sessionId": session, "datasetIds": 10**9}, (404, "NotFoundException")),
        ({"sessionId": NOBODYS, "datasetIds": dataset}, (403, "InsufficientPrivilegesException")),
    ):
        assert await door.status(**given) == expected, given
        assert await door.restore(**given) == expected, given
    assert await door.restore(datasetIds=dataset) == (400, "BadRequestException"), "a restore needs a session"
    assert await door.status(preparedId=NOBODYS) == (404, "NotFoundException")
    assert door.ids.archive == {dataset: "ARCHIVED"}


async def test_it_says_that_it_is_there(door: Door) -> None:
    for path, text in (("ping", "IdsOK"), ("isTwoLevel", "true")):
        async with door.http.get(f"{door.base}/ids/{path}") as answer:
            assert (answer.status, await answer.text()) == (200, text)
