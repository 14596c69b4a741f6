"""What only PostgreSQL can do to the centre: locks in a circle, pools that run dry, a restart."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from django.db import DatabaseError, connection, transaction

from central_portal.database import in_database
from central_portal.django_database import CONNECTIONS
from central_portal.facilities.fence import fence
from central_portal.facilities.models import FacilitySession
from central_portal.facilities.registry import FacilityRegistry
from central_portal.federation import Federation
from central_portal.link.ports import Beat, HelloFacts, HubPlace
from central_portal.writer import Writer
from tests.databases import django_on
from tests.services import Postgres, running_postgres

pytestmark = pytest.mark.needs("postgresql")
HUB, HELLO = HubPlace("hub-a", "127.0.0.1:1"), HelloFacts("s", "i", 1, "store")


@pytest.fixture(scope="module")
def server(database: Path) -> Iterator[Postgres]:
    with running_postgres() as server, django_on(server, "centre"):
        yield server


@pytest.fixture
def short_patience() -> Iterator[None]:
    """With a second instead of a quarter of a minute for a transaction in which nothing happens."""
    options = connection.settings_dict["OPTIONS"]
    kept = options["options"]
    options["options"] = kept.replace("=15000", "=1000")
    assert options["options"] != kept
    connection.close_pool()
    yield
    options["options"] = kept
    connection.close_pool()


@pytest.fixture
async def facilities(server: Postgres) -> list[str]:
    """Three facilities with a session each, at epoch 1."""
    await in_database(FacilitySession.objects.all().delete)()
    names = ["one", "two", "three"]
    for name in names:
        await FacilityRegistry(Federation()).admit(name, HELLO, HUB)
    return names


@pytest.fixture
async def writers(server: Postgres) -> AsyncIterator[tuple[Writer, Writer]]:
    pair = Writer(), Writer()
    yield pair
    for writer in pair:
        await writer.close()


async def until_somebody_waits() -> None:
    """Until a backend waits for a row."""

    def waiting() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("select count(*) from pg_stat_activity where wait_event_type = 'Lock'")
            return bool(cursor.fetchone()[0])

    async with asyncio.timeout(10):
        while not await in_database(waiting)():
            pass


async def test_leases_are_renewed_past_rows_that_a_writer_holds(facilities: list[str]) -> None:
    registry, (one, two, three) = FacilityRegistry(Federation()), facilities
    holding, go = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            fence(two, 1)
            holding.set()
            assert go.wait(10)
            fence(three, 1)
            fence(one, 1)

    writing = asyncio.ensure_future(in_database(write)())
    assert await asyncio.to_thread(holding.wait, 10)
    renewing = asyncio.ensure_future(registry.renew("hub-a", {name: Beat(1) for name in facilities}))
    await until_somebody_waits()
    go.set()
    await writing
    assert await renewing == set(facilities)


async def test_groups_that_wait_for_each_other_are_both_written(
    facilities: list[str], writers: tuple[Writer, Writer]
) -> None:
    one, two, _ = facilities
    both = threading.Barrier(2)

    def rename(name: str, word: str) -> Callable[[], None]:
        def work() -> None:
            FacilitySession.objects.filter(slug=name).update(software=word)

        return work

    def meet() -> None:
        if not both.broken:  # a group that gave way does not meet the other again
            try:
                both.wait(5)
            except threading.BrokenBarrierError:
                return
            both.abort()

    def group(writer: Writer, word: str, *names: str) -> list[asyncio.Future[None]]:
        works = [rename(names[0], word), meet, rename(names[1], word)]
        return [asyncio.ensure_future(writer(work)) for work in works]

    asked = [*group(writers[0], "first", one, two), *group(writers[1], "second", two, one)]
    async with asyncio.timeout(20):
        assert await asyncio.gather(*asked) == [None] * 6
    written = await in_database(lambda: {r.slug: r.software for r in FacilitySession.objects.all()})()
    assert {written[one], written[two]} <= {"first", "second"}


async def test_who_freezes_amid_a_transaction_keeps_no_facility_from_coming_back(
    facilities: list[str], short_patience: None
) -> None:
    holding, go = threading.Event(), threading.Event()

    def frozen() -> None:
        with transaction.atomic():
            fence("one", 1)
            holding.set()
            assert go.wait(20)

    freezing = asyncio.ensure_future(in_database(frozen)())
    assert await asyncio.to_thread(holding.wait, 10)
    async with asyncio.timeout(10):
        admission = await FacilityRegistry(Federation()).admit("one", HELLO, HUB)
    go.set()
    assert admission.epoch == 2
    with pytest.raises(DatabaseError):
        await freezing


async def test_the_pool_gets_its_connections_back(facilities: list[str]) -> None:
    def read() -> int:
        return FacilitySession.objects.count()

    def fail() -> None:
        FacilitySession.objects.count()
        raise LookupError

    works = [in_database(fail if n % 3 == 0 else read)() for n in range(12 * CONNECTIONS)]
    results = await asyncio.gather(*works, return_exceptions=True)
    assert [r for r in results if r != 3] == [r for r in results if isinstance(r, LookupError)]
    assert len([r for r in results if r == 3]) == 8 * CONNECTIONS


async def test_a_restart_costs_what_was_under_way_and_nothing_more(
    server: Postgres, facilities: list[str], writers: tuple[Writer, Writer]
) -> None:
    def touch() -> int:
        return FacilitySession.objects.filter(slug="one").update(software="touched")

    async def all_at_once() -> list[object]:
        works = [in_database(FacilitySession.objects.count)() for _ in range(3 * CONNECTIONS)]
        return await asyncio.gather(*works, *(writer(touch) for writer in writers), return_exceptions=True)

    assert set(map(str, await all_at_once())) == {"1", "3"}
    await asyncio.to_thread(server.stop, "immediate")
    with pytest.raises(DatabaseError):
        await writers[0](touch)
    with pytest.raises(DatabaseError):
        await in_database(FacilitySession.objects.count)()
    await asyncio.to_thread(server.start)
    assert set(map(str, await all_at_once())) == {"1", "3"}
