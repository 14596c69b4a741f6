"""Restoring at the agent: the order, its one effect, the watch, and that archived data are never mounted in silence."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from facility_agent.core.catalogue import Catalogue
from facility_agent.core.effects import REPEATS
from facility_agent.core.restores import FORGOTTEN, MOST, Restores
from facility_agent.ports.catalogue import Reader
from facility_agent.ports.link import AskedOrder
from facility_agent.ports.store import RestoreRow
from shared.catalogue import ArchiveState, Dataset
from shared.commands import ORDERS, Answer, GetDataset, Restore, Verb
from shared.errors import BackendUnavailable, DataNotOnline
from shared.identity import Scope
from shared.restores import DatasetReport
from shared.wire import proof
from shared.wire.commands import decode_body
from tests.facility_scene import READ, FacilityScene, Held, dataset, open_facility, refused

ARCHIVED, RESTORING, ONLINE, UNKNOWN = (
    ArchiveState.ARCHIVED, ArchiveState.RESTORING, ArchiveState.ONLINE, ArchiveState.UNKNOWN,
)  # fmt: skip


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[FacilityScene]:
    async with open_facility(tmp_path) as scene:
        scene.shelf.set_state("d-1", ARCHIVED)
        yield scene


def reports(at: FacilityScene) -> list[DatasetReport]:
    return [event for event in at.told if isinstance(event, DatasetReport)]


def watched(at: FacilityScene) -> list[Any]:
    with sqlite3.connect(at.folder / "agent.sqlite3") as db:
        return [row[0] for row in db.execute("select pid from restore order by pid")]


async def restore(at: FacilityScene, held: Held, pid: str = "d-1", **how: Any) -> Answer:
    return await at.ask(held, Verb.RESTORE, Restore(pid), **how)


async def state(at: FacilityScene, held: Held, pid: str = "d-1") -> ArchiveState:
    answer = await at.ask(held, Verb.GET, GetDataset(pid))
    assert isinstance(answer.payload, Dataset)
    return answer.payload.state


def test_every_order_has_its_class() -> None:
    assert set(REPEATS) == ORDERS


# --- never mounted in silence


@pytest.mark.parametrize("where", [ARCHIVED, RESTORING, UNKNOWN])
async def test_what_is_not_on_disk_is_not_mounted(at: FacilityScene, where: ArchiveState) -> None:
    at.shelf.set_state("d-1", where)
    ada = await at.ada()
    _, answer = await at.launch(ada, dataset="d-1")
    refused(answer, "DATA_NOT_ONLINE")
    assert answer.problem is not None
    assert answer.problem.metadata == {"state": where.value}
    assert at.machine.started == []
    assert at.shelf.asked == [], "starting restores nothing"


async def test_what_is_on_disk_is(at: FacilityScene) -> None:
    at.shelf.set_state("d-1", ONLINE)
    await at.running(await at.ada(), dataset="d-1")


@pytest.mark.parametrize("where", [UNKNOWN, ARCHIVED, RESTORING])
async def test_a_site_may_say_that_what_nobody_can_tell_of_is_there(
    at: FacilityScene, where: ArchiveState
) -> None:
    at.shelf.set_state("d-1", where)
    ours = Catalogue(at.shelf, at.people, seen=at.restores.seen, mounts_unknown=True)
    account = await at.people.account("ada")
    if where is UNKNOWN:
        assert [place.proposal for place in await ours.locate(("P-1",), account, "d-1")] == ["P-1"]
    else:
        with pytest.raises(DataNotOnline):
            await ours.locate(("P-1",), account, "d-1")


async def test_a_dataset_of_others_is_none(at: FacilityScene) -> None:
    _, answer = await at.launch(await at.ada(), dataset="d-3")
    refused(answer, "NOT_FOUND")
    assert at.machine.started == []


# --- the order


async def test_it_is_brought_back_watched_told_and_then_can_be_started_from(at: FacilityScene) -> None:
    ada = await at.ada()
    answer = await restore(at, ada)
    assert answer.payload == DatasetReport("d-1", RESTORING)
    assert at.shelf.asked == ["d-1"]
    assert watched(at) == ["d-1"]
    await at.restores.look()
    assert reports(at) == [DatasetReport("d-1", RESTORING)]
    at.shelf.set_state("d-1", ONLINE)
    at.now += 11
    await at.restores.look()
    assert reports(at) == [DatasetReport("d-1", RESTORING), DatasetReport("d-1", ONLINE)]
    assert watched(at) == []
    await at.running(ada, dataset="d-1")


async def test_the_same_order_again_and_another_one_ask_the_archive_once(at: FacilityScene) -> None:
    ada, order_id = await at.ada(), str(uuid.uuid4())
    body = at.body(Verb.RESTORE, Restore("d-1"), order_id)
    first = await at.signed(ada, body)
    assert await at.signed(ada, body) == first
    assert (await restore(at, ada)).payload == DatasetReport("d-1", RESTORING)
    assert at.shelf.asked == ["d-1"]


async def test_what_is_on_disk_needs_no_archive(at: FacilityScene) -> None:
    answer = await restore(at, await at.ada(), "d-2")
    assert answer.payload == DatasetReport("d-2", ONLINE)
    assert at.shelf.asked == []
    assert watched(at) == []


async def test_the_catalogues_old_word_does_not_hide_that_it_is_on_its_way(at: FacilityScene) -> None:
    ada = await at.ada()
    await restore(at, ada)
    at.shelf.set_state("d-1", ARCHIVED)  # the archive is at it, its catalogue does not say so
    assert await state(at, ada) is RESTORING
    _, answer = await at.launch(ada, dataset="d-1")
    refused(answer, "DATA_NOT_ONLINE")


async def test_one_that_did_not_come_back_is_told_and_can_be_asked_again(at: FacilityScene) -> None:
    ada = await at.ada()
    await restore(at, ada)
    at.shelf.set_state("d-1", ARCHIVED)
    at.now += 11
    await at.restores.look()
    assert reports(at)[-1] == DatasetReport("d-1", ARCHIVED)
    assert await state(at, ada) is ARCHIVED
    await restore(at, ada)
    assert at.shelf.asked == ["d-1", "d-1"]


# --- refusals have no effect


@pytest.mark.parametrize("pid", ["d-3", "no-such", "../d-1", "'; drop table restore; --"])
async def test_what_may_not_be_read_is_not_restored(at: FacilityScene, pid: str) -> None:
    at.shelf.set_state("d-3", ARCHIVED)
    refused(await restore(at, await at.ada(), pid), "NOT_FOUND")
    assert at.shelf.asked == []
    assert reports(at) == []
    assert watched(at) == []


async def test_reading_is_not_restoring(at: FacilityScene) -> None:
    refused(await restore(at, await at.ada(READ)), "SCOPE_DENIED")
    assert at.shelf.asked == []


async def test_it_never_goes_as_a_query_nor_without_a_grant(at: FacilityScene) -> None:
    ada = await at.ada()
    body = at.body(Verb.RESTORE, Restore("d-1"))
    refused(await at.core.handle(body, ada.grant_id, proof.mac(ada.secret, body), decode_body), "INVALID_REQUEST")
    refused(await at.core.handle(body, "", b"", decode_body), "SIGN_IN_NEEDED")
    refused(await at.send(body, ada.grant_id, b"x" * 32), "SIGN_IN_NEEDED")
    assert at.shelf.asked == []


async def test_somebody_who_is_not_linked_any_more_restores_nothing(at: FacilityScene) -> None:
    ada = await at.ada()
    await at.unlink()
    refused(await restore(at, ada), "SIGN_IN_NEEDED", "ACCOUNT_NOT_LINKED")
    assert at.shelf.asked == []


async def test_an_archive_that_is_away_is_a_refusal_that_may_be_tried_again(at: FacilityScene) -> None:
    ada = await at.ada()
    at.shelf.down = True
    answer = await restore(at, ada)
    refused(answer, "BACKEND_UNAVAILABLE")
    at.shelf.down = False
    assert (await restore(at, ada)).payload == DatasetReport("d-1", RESTORING)


async def test_an_archive_that_hangs_is_given_up(at: FacilityScene, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(pid: str, reader: Reader) -> ArchiveState:
        await asyncio.Event().wait()
        raise AssertionError

    ada = await at.ada()
    monkeypatch.setattr("facility_agent.core.restores.WITHIN", 0.05)
    at.shelf.restore = hangs  # type: ignore[method-assign]
    refused(await restore(at, ada), "BACKEND_UNAVAILABLE")
    assert watched(at) == []


async def test_without_an_interface_of_the_archive_it_is_said(at: FacilityScene) -> None:
    at.restores._archive = None
    refused(await restore(at, await at.ada()), "UNSUPPORTED")
    assert at.shelf.asked == []


async def test_only_so_many_are_watched(at: FacilityScene) -> None:
    for n in range(MOST):
        at.restores._watch(RestoreRow(f"x-{n}", "id-9", at.now))
    refused(await restore(at, await at.ada()), "RATE_LIMITED")
    assert at.shelf.asked == []


async def test_an_account_has_so_many_under_way_however_many_orders_come_at_once(at: FacilityScene) -> None:
    ada = await at.ada()
    pids = [f"m-{n}" for n in range(8)]
    at.shelf.put([replace(dataset(pid, "P-1"), state=ARCHIVED) for pid in pids])
    said = await asyncio.gather(*(restore(at, ada, pid) for pid in pids))
    assert len(at.shelf.asked) == 3
    assert sorted(a.problem.reason for a in said if a.problem) == ["QUOTA_EXCEEDED"] * 5
    assert len(watched(at)) == 3
    again = at.shelf.asked[0]
    assert (await restore(at, ada, again)).payload == DatasetReport(again, RESTORING), "it is under way already"
    at.shelf.set_state(again, ONLINE)
    at.now += 11
    await at.restores.look()
    left = next(pid for pid in pids if pid not in at.shelf.asked)
    assert (await restore(at, ada, left)).payload == DatasetReport(left, RESTORING)


async def test_refusals_take_no_place(at: FacilityScene) -> None:
    ada = await at.ada()
    for _ in range(5):
        refused(await restore(at, ada, "d-3"), "NOT_FOUND")
        assert (await restore(at, ada, "d-2")).payload == DatasetReport("d-2", ONLINE)
    assert (await restore(at, ada)).payload == DatasetReport("d-1", RESTORING)


# --- crashes and outages


async def test_the_watch_goes_on_after_a_crash(at: FacilityScene) -> None:
    ada = await at.ada()
    await restore(at, ada)
    await at.reopen()
    at.shelf.set_state("d-1", ARCHIVED)
    assert await state(at, ada) is RESTORING
    at.shelf.set_state("d-1", ONLINE)
    await at.restores.look()
    assert reports(at)[-1] == DatasetReport("d-1", ONLINE)
    assert watched(at) == []
    await at.reopen()
    await at.restores.look()
    assert reports(at).count(DatasetReport("d-1", ONLINE)) == 1


async def test_a_crash_between_effect_and_result_asks_the_archive_once(at: FacilityScene) -> None:
    ada, order_id = await at.ada(), str(uuid.uuid4())
    body = at.body(Verb.RESTORE, Restore("d-1"), order_id)
    settle, mac = at.orders._settle, proof.mac(ada.secret, body)

    async def dies(*_: Any) -> bytes:
        raise BackendUnavailable  # the store takes nothing more in this process

    at.orders._settle = dies  # type: ignore[method-assign]
    assert await at.orders.take(AskedOrder(order_id, body, ada.grant_id, mac), lambda: None) is None
    assert at.shelf.asked == ["d-1"]
    assert settle is not None
    await at.reopen()
    await at.orders.resume()
    assert (await at.signed(ada, body)).payload == DatasetReport("d-1", RESTORING)
    assert at.shelf.asked == ["d-1"]
    assert watched(at) == ["d-1"]


async def test_not_knowing_ends_no_watch(at: FacilityScene) -> None:
    await restore(at, await at.ada())
    at.shelf.down = True
    for _ in range(3):
        at.now += 400
        await at.restores.look()
    at.shelf.down = False
    at.shelf.set_state("d-1", UNKNOWN)
    at.now += 400
    await at.restores.look()
    assert watched(at) == ["d-1"]
    assert reports(at) == [DatasetReport("d-1", RESTORING)]
    at.now += FORGOTTEN
    await at.restores.look()
    assert watched(at) == []
    assert reports(at)[-1] == DatasetReport("d-1", UNKNOWN)


async def test_one_that_is_gone_is_not_on_its_way(at: FacilityScene) -> None:
    await restore(at, await at.ada())
    at.shelf.remove("d-1")
    at.now += 11
    await at.restores.look()
    assert reports(at)[-1] == DatasetReport("d-1", ARCHIVED)


async def test_what_takes_long_is_looked_at_less_often(at: FacilityScene) -> None:
    looks: list[float] = []
    at.restores._watch(RestoreRow("d-1", "id-1", at.now))

    async def looked(pid: str) -> ArchiveState:
        looks.append(at.now)
        return RESTORING

    at.shelf.restore_state = looked  # type: ignore[method-assign]
    began = at.now
    while at.now < began + 86_400:
        await at.restores.look()
        at.now += 5
    pauses = [later - earlier for earlier, later in pairwise(looks)]
    assert pauses[0] == 10
    assert pauses == sorted(pauses)
    assert max(pauses) == 300
    assert len(looks) < 400


async def test_the_watch_survives_an_adapters_fault(at: FacilityScene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", "facility_agent.core.restores")
    await restore(at, await at.ada())

    async def broken(pid: str) -> ArchiveState:
        raise RuntimeError("a fault of the adapter's")

    whole, at.shelf.restore_state = at.shelf.restore_state, broken  # type: ignore[method-assign]
    watch = asyncio.create_task(at.restores.watch())
    at.restores._every = 0.01
    await asyncio.sleep(0)
    at.shelf.restore_state = whole  # type: ignore[method-assign]
    at.shelf.set_state("d-1", ONLINE)
    at.now += 400
    async with asyncio.timeout(5):
        while watched(at):
            at.restores._wake.set()
            await asyncio.sleep(0)
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)


async def test_scopes(at: FacilityScene) -> None:
    assert (await restore(at, await at.ada(frozenset({Scope.RUN})))).payload == DatasetReport("d-1", RESTORING)


def test_what_is_seen_changes_nothing_else() -> None:
    ours = Restores(None, None, None, None, lambda _: None, lambda: 0.0)  # type: ignore[arg-type]
    ours._watch(RestoreRow("d", "id-1", 0.0))
    base = Dataset("d", "T", "P", "", "", "", None, None, 1, 1, is_open=False)
    for where in (ONLINE, RESTORING, UNKNOWN):
        assert ours.seen(replace(base, state=where)).state is where
    assert ours.seen(replace(base, pid="e", state=ARCHIVED)).state is ARCHIVED
