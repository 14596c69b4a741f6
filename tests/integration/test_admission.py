"""Whose session is the facility's: epochs, leases by the database's time, quarantine; on both databases."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from central_portal.facilities import sessions
from central_portal.facilities.logic import CAME_BACK, SAME_START
from central_portal.facilities.registry import FacilityRegistry
from central_portal.federation import Federation
from central_portal.link.ports import Beat, HelloFacts, HubPlace
from tests.databases import django_on
from tests.services import Postgres, running_postgres

HUB, OTHER = HubPlace("hub-a", "10.0.0.1:7443"), HubPlace("hub-b", "10.0.0.2:7443")
HELLO = HelloFacts("s1", "instance-1", 1, "store-1", "0.2.0", 3600, "")
_names = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))]
)
def engine(request: pytest.FixtureRequest, database: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield request.param
        return
    with django_on(request.getfixturevalue("server"), "admission"):
        yield request.param


@pytest.fixture
def slug(engine: str) -> str:
    return f"f-{next(_names)}"


@pytest.fixture
def registry(engine: str) -> FacilityRegistry:
    return FacilityRegistry(Federation(), lease_s=30.0)


def row(slug: str) -> sessions.SessionRow:
    (found,) = sessions.rows_of([slug])
    return found


async def look(slug: str) -> sessions.SessionRow:
    from central_portal.database import in_database

    return await in_database(row)(slug)


async def test_the_newest_session_wins_and_is_alive(registry: FacilityRegistry, slug: str) -> None:
    first = await registry.admit(slug, HELLO, HUB)
    second = await registry.admit(slug, replace(HELLO, session_id="s2"), OTHER)
    assert (first.epoch, second.epoch) == (1, 2)
    assert not first.quarantined
    assert not second.quarantined
    now = await look(slug)
    assert (now.epoch, now.hub_id, now.hub_address, now.mark.alive) == (2, "hub-b", "10.0.0.2:7443", True)
    assert now.software == "0.2.0"
    assert now.certificate_until == pytest.approx(time.time() + 3600, abs=60)


async def test_admissions_at_once_get_different_epochs(registry: FacilityRegistry, slug: str) -> None:
    hellos = [replace(HELLO, session_id=f"s{n}") for n in range(20)]
    admitted = await asyncio.gather(*(registry.admit(slug, hello, HUB) for hello in hellos))
    assert sorted(a.epoch for a in admitted) == list(range(1, 21))


async def test_a_close_ends_only_its_own_epoch(registry: FacilityRegistry, slug: str) -> None:
    old = await registry.admit(slug, HELLO, HUB)
    new = await registry.admit(slug, replace(HELLO, session_id="s2"), OTHER)
    before = await look(slug)
    await registry.close(slug, old.epoch, "LOST")
    assert await look(slug) == before
    await registry.close(slug, new.epoch, "DRAINED")
    after = await look(slug)
    assert (after.mark.alive, after.last_ending) == (False, "DRAINED")
    await registry.close(slug, new.epoch, "LOST")
    assert await look(slug) == after, "once"


async def test_a_lease_runs_out_by_the_databases_time_and_its_hub_may_take_it_up_again(slug: str) -> None:
    registry = FacilityRegistry(Federation(), lease_s=0.3)
    epoch = (await registry.admit(slug, HELLO, HUB)).epoch
    assert (await look(slug)).mark.alive
    async with asyncio.timeout(10):
        while (await look(slug)).mark.alive:
            pass
    gone = await look(slug)
    assert gone.since is not None
    assert await registry.renew("hub-a", {slug: Beat(epoch, 0.012)}) == {slug}
    back = await look(slug)
    assert (back.mark.alive, back.rtt) == (True, 0.012)


async def test_nobody_renews_what_is_not_theirs(registry: FacilityRegistry, slug: str) -> None:
    old = (await registry.admit(slug, HELLO, HUB)).epoch
    new = (await registry.admit(slug, replace(HELLO, session_id="s2"), OTHER)).epoch
    assert await registry.renew("hub-a", {slug: Beat(old)}) == frozenset()
    assert await registry.renew("hub-a", {slug: Beat(new)}) == frozenset(), "another hub's"
    assert await registry.renew("hub-b", {slug: Beat(old)}) == frozenset()
    assert await registry.renew("hub-b", {slug: Beat(new, None)}) == {slug}
    assert await registry.renew("hub-b", {}) == frozenset()


async def test_many_leases_in_one_statement(registry: FacilityRegistry, slug: str) -> None:
    names = [f"{slug}-{n}" for n in range(500)]
    epochs = {name: (await registry.admit(name, HELLO, HUB)).epoch for name in names[:3]}
    beats = {name: Beat(epochs.get(name, 1), 0.001 if n % 2 else None) for n, name in enumerate(names)}
    assert await registry.renew("hub-a", beats) == set(names[:3])


async def test_a_copy_of_a_store_is_quarantined_and_every_session_is_over(
    registry: FacilityRegistry, slug: str
) -> None:
    first = await registry.admit(slug, HELLO, HUB)
    clone = await registry.admit(slug, replace(HELLO, session_id="s2", instance_id="clone"), OTHER)
    assert clone.quarantined == SAME_START
    now = await look(slug)
    assert (now.mark.alive, now.quarantined_why, now.hub_id) == (False, SAME_START, "")
    assert now.epoch > first.epoch, "what the first still writes is fenced"
    assert await registry.renew("hub-a", {slug: Beat(first.epoch)}) == frozenset()
    again = await registry.admit(slug, replace(HELLO, session_id="s3"), HUB)
    assert again.quarantined, "until it is released nobody gets in"
    assert not (await look(slug)).mark.alive


async def test_an_agent_that_comes_back_after_it_was_replaced_is_quarantined(
    registry: FacilityRegistry, slug: str
) -> None:
    await registry.admit(slug, HELLO, HUB)
    later = await registry.admit(slug, replace(HELLO, session_id="s2", instance_id="clone", boot_counter=2), OTHER)
    assert not later.quarantined
    back = await registry.admit(slug, replace(HELLO, session_id="s3"), HUB)
    assert back.quarantined == CAME_BACK


async def test_a_release_believes_whoever_comes_next_and_reconciles(registry: FacilityRegistry, slug: str) -> None:
    from central_portal.database import in_database

    await registry.admit(slug, HELLO, HUB)
    await registry.admit(slug, replace(HELLO, instance_id="clone"), OTHER)
    assert await in_database(sessions.release)(slug)
    assert not await in_database(sessions.release)(slug), "once"
    admission = await registry.admit(slug, HELLO, HUB)
    assert (admission.quarantined, admission.reconcile) == ("", True)
    clone = await registry.admit(slug, replace(HELLO, instance_id="clone", boot_counter=1), OTHER)
    assert clone.quarantined == SAME_START


async def test_another_store_is_reconciled_and_a_restart_is_not(registry: FacilityRegistry, slug: str) -> None:
    restarted = replace(HELLO, instance_id="instance-2", boot_counter=2)
    lost = replace(HELLO, instance_id="instance-3", boot_counter=1, store_id="store-2")
    admitted = [await registry.admit(slug, hello, HUB) for hello in (HELLO, HELLO, restarted, restarted, lost)]
    assert [a.reconcile for a in admitted] == [False, False, False, False, True]
    assert not any(a.quarantined for a in admitted)


async def test_a_session_that_follows_without_a_gap_keeps_its_since(registry: FacilityRegistry, slug: str) -> None:
    await registry.admit(slug, HELLO, HUB)
    since = (await look(slug)).since
    second = await registry.admit(slug, replace(HELLO, session_id="s2", previous_ending="LOST"), OTHER)
    assert (await look(slug)).since == since
    assert (await look(slug)).last_ending == "LOST", "the hub has not told, so the agent's word counts"
    await registry.close(slug, second.epoch, "SILENT")
    await registry.admit(slug, replace(HELLO, session_id="s3", previous_ending="LOST"), HUB)
    fresh = await look(slug)
    assert fresh.since is not None
    assert since is not None
    assert fresh.since > since
    assert fresh.last_ending == "SILENT"
