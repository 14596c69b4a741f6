"""Restoring at the centre: who may ask, what waits, and what a person who watches sees."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from central_portal.workspaces.events import PortalEvents
from shared.catalogue import ArchiveState, SearchPage
from shared.commands import Answer, Problem, Verb
from shared.facilities import Capability, Outcome
from shared.restores import DatasetReport
from tests.integration.test_subscriptions import socket

pytestmark = pytest.mark.usefixtures("database")
RESTORE = "mutation($i: RestoreDatasetInput!){restoreDataset(input:$i){dataset{archiveState isRestorable} waiting problem{code message}}}"
CHANGED = "subscription($d: ID!){datasetChanged(dataset:$d){id archiveState}}"
MINE = {"i": {"dataset": "Dataset:alpha:mine"}}
REFUSED = Answer(Outcome.FAILED, problem=Problem("NOT_FOUND", "There is no such dataset."))


class Archive:
    """Alpha: one dataset, of whoever comes with a grant."""

    def __init__(self) -> None:
        from tests.integration.portal import Portal, dataset

        self.portal = Portal(deadline=5.0)
        self.dataset = replace(dataset("mine", 1.0, is_open=False), state=ArchiveState.ARCHIVED)
        self.asked: list[str] = []
        self.refusal: Answer | None = None

    async def reply(self, command: Any, sealed: Any) -> Answer:
        if command.verb is Verb.SEARCH:
            return Answer(Outcome.OK, SearchPage())
        if not sealed.grant_id or command.parameters.pid != "mine":
            return REFUSED
        if command.verb is Verb.GET:
            return Answer(Outcome.OK, self.dataset)
        assert command.verb is Verb.RESTORE
        if self.refusal:
            return self.refusal
        self.asked.append(command.command_id)
        self.dataset = replace(self.dataset, state=ArchiveState.RESTORING)
        return Answer(Outcome.OK, DatasetReport("mine", ArchiveState.RESTORING))

    async def connect(self) -> None:
        await self.portal.connect("alpha", self.reply)

    async def arrive(self, *, told: bool = True) -> None:
        self.dataset = replace(self.dataset, state=ArchiveState.ONLINE)
        if told:
            portal = self.portal
            events = PortalEvents(portal.facilities, portal.reports, portal.wakes)
            await events.dataset_reported(
                "alpha", portal.epochs["alpha"], DatasetReport("mine", ArchiveState.ONLINE)
            )

    async def restore(self, cookie: str, variables: Any = MINE) -> dict[str, Any]:
        done: dict[str, Any] = (await self.portal.ask(RESTORE, variables, cookie))["data"]["restoreDataset"]
        return done


@pytest.fixture
async def archive() -> Archive:
    made = Archive()
    await made.connect()
    return made


async def test_a_person_restores_watches_and_is_told(archive: Archive) -> None:
    cookie = await archive.portal.person("ada-restores", "alpha")
    async with socket(archive.portal, cookie) as end:
        await end.subscribe("w", CHANGED, d="Dataset:alpha:mine")

        async def seen() -> str:
            message = await end.told()
            state: str = message["payload"]["data"]["datasetChanged"]["archiveState"]
            return state

        assert await seen() == "ARCHIVED"
        done = await archive.restore(cookie)
        assert done == {
            "dataset": {"archiveState": "RESTORING", "isRestorable": False},
            "waiting": False,
            "problem": None,
        }
        assert await seen() == "RESTORING"
        await archive.arrive()
        assert await seen() == "ONLINE"
        assert await end.silent()
    assert len(archive.asked) == 1


async def test_a_report_that_was_lost_is_found_by_looking(archive: Archive) -> None:
    cookie = await archive.portal.person("ada-looks", "alpha")
    async with socket(archive.portal, cookie) as end:
        await end.subscribe("w", CHANGED, d="Dataset:alpha:mine")
        assert (await end.told())["payload"]["data"]["datasetChanged"]["archiveState"] == "ARCHIVED"
        await archive.arrive(told=False)
        assert (await end.told())["payload"]["data"]["datasetChanged"]["archiveState"] == "ONLINE"


async def test_a_facility_that_goes_away_meanwhile_is_waited_for(archive: Archive) -> None:
    cookie = await archive.portal.person("ada-waits", "alpha")
    async with socket(archive.portal, cookie) as end:
        await end.subscribe("w", CHANGED, d="Dataset:alpha:mine")
        assert (await end.told())["payload"]["data"]["datasetChanged"]["archiveState"] == "ARCHIVED"
        await archive.portal.disconnect("alpha")
        await archive.arrive(told=False)
        assert await end.silent()
        await archive.connect()
        assert (await end.told())["payload"]["data"]["datasetChanged"]["archiveState"] == "ONLINE"


async def test_nobody_else_sees_it_or_has_it_restored(archive: Archive) -> None:
    stranger, eve = "", await archive.portal.person("eve-restores")
    for cookie, code in ((stranger, "UNAUTHENTICATED"), (eve, "SIGN_IN_NEEDED")):
        assert (await archive.restore(cookie))["problem"]["code"] == code
        async with socket(archive.portal, cookie) as end:
            await end.subscribe("w", CHANGED, d="Dataset:alpha:mine")
            refused = await end.told()
            assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "NOT_FOUND")
    assert archive.asked == []
    assert [verb for _, verb, _ in archive.portal.agents.asked if verb is Verb.RESTORE] == []


async def test_it_waits_for_a_facility_that_is_away_and_no_longer_than_ten_minutes(archive: Archive) -> None:
    portal, cookie = archive.portal, await archive.portal.person("ada-away", "alpha")
    await portal.disconnect("alpha")
    assert await archive.restore(cookie) == {"dataset": None, "waiting": True, "problem": None}
    await archive.connect()
    portal.agents.deliver("alpha")
    await portal.agents.idle()
    assert len(archive.asked) == 1
    await portal.disconnect("alpha")
    await archive.restore(cookie)
    await portal.age_orders(700)
    await portal.reports.sweep()
    await archive.connect()
    portal.agents.deliver("alpha")
    await portal.agents.idle()
    assert len(archive.asked) == 1, "it is too late: the person asks again"


async def test_what_the_facility_says_no_to_is_said(archive: Archive) -> None:
    cookie = await archive.portal.person("ada-refused", "alpha")
    archive.refusal = Answer(Outcome.FAILED, problem=Problem("UNSUPPORTED", "It cannot be asked."))
    done = await archive.restore(cookie)
    assert done == {
        "dataset": None, "waiting": False, "problem": {"code": "UNSUPPORTED", "message": "It cannot be asked."},
    }  # fmt: skip


@pytest.mark.parametrize(
    "dataset", ["", "Dataset:alpha:", "Facility:alpha", "Dataset:nowhere:x", "Dataset:alpha:" + "x" * 599, "x\0y"]
)
async def test_an_id_of_nothing_is_nothing(archive: Archive, dataset: str) -> None:
    cookie = await archive.portal.person("ada-typo", "alpha")
    done = await archive.restore(cookie, {"i": {"dataset": dataset}})
    assert done["problem"]["code"] in ("NOT_FOUND", "INVALID_REQUEST")
    assert archive.asked == []


async def test_many_watchers_leave_nothing_behind(archive: Archive) -> None:
    cookie = await archive.portal.person("ada-many", "alpha")
    for _ in range(3):
        async with socket(archive.portal, cookie) as end:
            await end.subscribe("w", CHANGED, d="Dataset:alpha:mine")
            await end.told()
    async with asyncio.timeout(5):
        while any(archive.portal.wakes._listeners.values()):
            counts = {topic: len(found) for topic, found in archive.portal.wakes._listeners.items() if found}
            if "dataset" not in counts:
                break
            await asyncio.sleep(0)


async def test_a_facility_says_whether_its_archive_can_be_asked(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.integration import portal as parts

    plain = parts.description
    able = lambda slug: replace(plain(slug), capabilities=(Capability("restore", "restore", "R", ""),))  # noqa: E731
    monkeypatch.setattr(parts, "description", able)
    await archive.portal.disconnect("alpha")
    await archive.connect()
    done = await archive.restore(await archive.portal.person("ada-able", "alpha"))
    assert done["dataset"] == {"archiveState": "RESTORING", "isRestorable": True}
