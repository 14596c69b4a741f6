"""What every `RestorableCatalogue` must do. Subclass `RestorableContract` and give it the fixture `world`."""

from __future__ import annotations

import asyncio

import pytest

from facility_agent.ports.catalogue import STRANGER, RestorableCatalogue
from facility_agent.testing.catalogue_world import MINE, THEIRS, RestorableWorld, some
from shared.catalogue import ArchiveState, Dataset, SearchQuery
from shared.errors import BackendUnavailable, NotFound, ParasolError

ONE, THEIR_ONE = "mine one", "theirs one"


class RestorableContract:
    """The guarantees of the port."""

    @staticmethod
    def archive_of(world: RestorableWorld) -> RestorableCatalogue:
        """The adapter as a restorable catalogue."""
        assert isinstance(world.backend, RestorableCatalogue)
        return world.backend

    @staticmethod
    async def dataset(world: RestorableWorld, title: str) -> Dataset:
        """One dataset as somebody sees it who may see all."""
        page = await world.backend.search(SearchQuery(limit=100), world.reader(MINE, THEIRS))
        return next(d for d in page.datasets if d.title == title)

    async def archived(self, world: RestorableWorld) -> str:
        """Some datasets, one of which is in the archive; its pid."""
        await world.put(*some(world))
        await world.archive(ONE)
        return (await self.dataset(world, ONE)).pid

    async def test_what_is_archived_is_said_to_be(self, world: RestorableWorld) -> None:
        pid = await self.archived(world)
        assert (await self.dataset(world, ONE)).state is ArchiveState.ARCHIVED
        assert (await world.backend.get(pid, world.reader(MINE))).state is ArchiveState.ARCHIVED
        assert await self.archive_of(world).restore_state(pid) is ArchiveState.ARCHIVED
        assert (await self.dataset(world, "mine two")).state is ArchiveState.ONLINE

    async def test_it_is_brought_back_once_and_then_is_there(self, world: RestorableWorld) -> None:
        pid, archive = await self.archived(world), self.archive_of(world)
        for _ in range(2):
            assert await archive.restore(pid, world.reader(MINE)) is ArchiveState.RESTORING
            assert await archive.restore_state(pid) is ArchiveState.RESTORING
            assert (await world.backend.get(pid, world.reader(MINE))).state is not ArchiveState.ONLINE
        await world.arrive(ONE)
        assert await archive.restore_state(pid) is ArchiveState.ONLINE
        assert (await world.backend.get(pid, world.reader(MINE))).state is ArchiveState.ONLINE
        assert await archive.restore(pid, world.reader(MINE)) is ArchiveState.ONLINE
        assert await world.asked(ONE) == 1

    async def test_many_at_once_ask_once(self, world: RestorableWorld) -> None:
        pid, archive = await self.archived(world), self.archive_of(world)
        said = await asyncio.gather(*(archive.restore(pid, world.reader(MINE)) for _ in range(8)))
        assert set(said) == {ArchiveState.RESTORING}
        assert await world.asked(ONE) == 1

    async def test_a_crash_in_between_asks_no_second_time(self, world: RestorableWorld) -> None:
        pid = await self.archived(world)
        await self.archive_of(world).restore(pid, world.reader(MINE))
        again = await world.reopened()
        assert await again.restore_state(pid) is ArchiveState.RESTORING
        assert await again.restore(pid, world.reader(MINE)) is ArchiveState.RESTORING
        assert await world.asked(ONE) == 1

    async def test_what_failed_is_archived_and_can_be_asked_again(self, world: RestorableWorld) -> None:
        pid, archive = await self.archived(world), self.archive_of(world)
        await archive.restore(pid, world.reader(MINE))
        await world.fail(ONE)
        assert await archive.restore_state(pid) is ArchiveState.ARCHIVED
        assert await archive.restore(pid, world.reader(MINE)) is ArchiveState.RESTORING
        assert await world.asked(ONE) == 2

    async def test_what_is_there_is_not_asked_for(self, world: RestorableWorld) -> None:
        await world.put(*some(world))
        pid = (await self.dataset(world, ONE)).pid
        assert await self.archive_of(world).restore(pid, world.reader(MINE)) is ArchiveState.ONLINE
        assert await world.asked(ONE) == 0

    async def test_what_may_not_be_read_is_not_brought_back(self, world: RestorableWorld) -> None:
        await self.archived(world)
        await world.archive(THEIR_ONE)
        pid = (await self.dataset(world, THEIR_ONE)).pid
        for reader in (world.reader(MINE), world.reader(), STRANGER):
            with pytest.raises(NotFound):
                await self.archive_of(world).restore(pid, reader)
        assert await world.asked(THEIR_ONE) == 0

    @pytest.mark.parametrize(
        "pid", ["no-such", "'; drop table x; --", "../x", "%2e%2e", '{"$ne": ""}', "\0", "", "x" * 600]
    )
    async def test_what_does_not_exist_is_refused(self, world: RestorableWorld, pid: str) -> None:
        await self.archived(world)
        for asking in (
            self.archive_of(world).restore(pid, world.reader(MINE)),
            self.archive_of(world).restore_state(pid),
        ):
            with pytest.raises(ParasolError):
                await asking
        assert await world.asked(ONE) == 0

    async def test_an_outage_is_no_state(self, world: RestorableWorld) -> None:
        pid, archive = await self.archived(world), self.archive_of(world)
        with world.outage():
            for asking in (archive.restore(pid, world.reader(MINE)), archive.restore_state(pid)):
                with pytest.raises(BackendUnavailable):
                    await asking
        assert await world.asked(ONE) == 0
        assert await archive.restore(pid, world.reader(MINE)) is ArchiveState.RESTORING
