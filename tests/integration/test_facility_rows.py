"""The read model of facilities follows the rows, whichever process writes them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from central_portal.facilities.registry import FacilityRegistry
from central_portal.facilities.services import Facilities
from central_portal.federation import FacilityTable, Federation
from central_portal.link.ports import Beat, HelloFacts, HubPlace, Topic
from central_portal.link.wakes_memory import MemoryWakes
from shared.wire.facilities import encode_description
from tests.integration.portal import description
from tests.link_parts import eventually

pytestmark = pytest.mark.usefixtures("database")
HUB = HubPlace("hub-a", "127.0.0.1:7443")
_names = (f"rows-{n}" for n in itertools.count())


class World:
    """The rows' writer, and a reader in another process."""

    def __init__(self, lease: float = 30.0) -> None:
        self.slug = next(_names)
        table = FacilityTable(
            id=self.slug, name="A", public_key="x", gateway="http://a.localhost:1", workspace_zone="w.localhost:1"
        )
        self.federation = Federation(facilities=(table,))
        self.wakes = MemoryWakes()
        self.registry = FacilityRegistry(Federation(), lease_s=lease)
        self.writer = Facilities(self.federation, self.wakes)
        self.reader = Facilities(self.federation, self.wakes)
        self.seen: list[str] = []
        self.reader.subscribe(self.seen.append)
        self.hello = HelloFacts("s", "i", 1, "store", description=encode_description(description(self.slug)))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    following = asyncio.create_task(world.reader.follow())
    await asyncio.sleep(0)
    yield world
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_what_another_process_wrote_is_seen_at_a_hint(world: World) -> None:
    await world.registry.admit(world.slug, world.hello, HUB)
    world.wakes.tell(Topic.FACILITY, world.slug)
    await eventually(lambda: world.reader.get(world.slug).online, 0.9)
    view = world.reader.get(world.slug)
    assert view.description == description(world.slug)
    assert (view.epoch, view.hub_address, view.quarantined) == (1, HUB.address, False)
    assert world.reader.place(world.slug).hub == HUB
    assert world.seen == [world.slug]


async def test_without_a_hint_it_is_seen_within_a_second(world: World) -> None:
    await world.registry.admit(world.slug, world.hello, HUB)
    await eventually(lambda: world.reader.get(world.slug).online, 3.0)
    await world.registry.close(world.slug, 1, "DRAINED")
    await eventually(lambda: not world.reader.get(world.slug).online, 3.0)
    assert world.reader.place(world.slug).moving
    assert (await world.reader.look(world.slug)).hub is None


async def test_a_lease_that_runs_out_makes_it_offline_and_nothing_else_changes_the_version() -> None:
    world = World(lease=2.0)
    await world.registry.admit(world.slug, world.hello, HUB)
    await world.reader.refresh()
    version = world.reader.version
    assert await world.registry.renew(HUB.id, {world.slug: Beat(1, 0.003)}) == {world.slug}
    await world.reader.refresh()
    assert world.reader.version == version, "a renewal shows nothing new"
    async with asyncio.timeout(10):
        while world.reader.get(world.slug).online:
            await world.reader.refresh()
    assert world.reader.version == version + 1
    assert not world.reader.place(world.slug).moving


async def test_what_an_overtaken_session_says_of_its_facility_changes_nothing(world: World) -> None:
    await world.registry.admit(world.slug, world.hello, HUB)
    await world.registry.admit(world.slug, replace(world.hello, session_id="s2"), HubPlace("hub-b", "127.0.0.1:2"))
    renamed = replace(description(world.slug), name="Renamed")
    await world.writer.described(world.slug, 1, renamed)
    assert world.writer.get(world.slug).name != "Renamed"
    await world.writer.described(world.slug, 2, renamed)
    assert world.writer.get(world.slug).name == "Renamed"
    await eventually(lambda: world.reader.get(world.slug).name == "Renamed", 0.9)


async def test_a_facility_that_takes_no_part_is_not_shown(world: World, database: Path) -> None:
    stranger = World()
    await stranger.registry.admit(stranger.slug, stranger.hello, HUB)
    await world.reader.refresh()
    await world.writer.described(stranger.slug, 1, description(stranger.slug))
    assert [view.slug for view in world.reader.all()] == [world.slug]
    assert world.reader.place(stranger.slug).hub is None
