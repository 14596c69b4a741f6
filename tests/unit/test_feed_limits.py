"""The feed of open metadata: what is never kept, and who begins anew."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from facility_agent.core.feed import Feed
from facility_agent.link.codec import OpenRecordCodec
from facility_agent.ports.catalogue import Reader
from facility_agent.testing.memory_catalogue import MemoryCatalogue
from shared.catalogue import SearchPage, SearchQuery
from tests.feed_scene import OPEN, PRIVATE, Follower, dataset, scene
from tests.link_parts import eventually


class Leaky(MemoryCatalogue):
    """Shows private datasets to strangers."""

    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        return await super().search(query, Reader(proposals={PRIVATE}))


async def test_what_is_not_open_is_not_kept_even_when_an_adapter_shows_it() -> None:
    async with scene() as at:
        leaky = Leaky({OPEN})
        leaky.put([dataset("a"), dataset("secret", proposal=PRIVATE)])
        feed = Feed(leaky, at.store, OpenRecordCodec(), lambda: at.now, 30.0)
        await feed.look()
        assert [d.pid for d in (await feed.changes("")).datasets] == ["a"]
        with sqlite3.connect(at.folder / "feed.sqlite3") as db:
            assert db.execute("select pid from record where kind='d'").fetchall() == [("a",)]
        db.close()


async def test_one_record_that_nobody_could_read_costs_itself_alone() -> None:
    async with scene() as at:
        at.catalogue.put([dataset("bad\npid"), dataset("good"), dataset("half", title="\ud800")])
        await at.feed.look()
        assert [d.pid for d in (await at.feed.changes("")).datasets] == ["good"]


LONG = 100 * 86_400.0
"""After so long tombstones are dropped."""


async def test_each_fault_is_told_once_while_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    async with scene() as at:
        at.catalogue.put([dataset("bad\npid"), dataset("worse\npid"), dataset("good")])
        at.feed._every = 0.01
        task = asyncio.create_task(at.feed.watch())
        await eventually(lambda: at.catalogue.looks >= 4)
        task.cancel()
        told = [record.message for record in caplog.records if "cannot be sent" in record.message]
        assert len(told) == 2


async def test_a_new_mirror_gets_past_tombstones_that_were_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facility_agent.core.feed.RECORDS", 2)
    async with scene() as at:
        at.catalogue.put(dataset(pid) for pid in "abcdef")
        await at.feed.look()
        at.catalogue.remove("f")
        await at.feed.look()
        at.now += LONG
        await at.feed.look()
        mirror = Follower()
        await mirror.follow(at.feed)
        assert (set(mirror.rows), mirror.restarts) == (set("abcde"), 1)
        said = await at.feed.changes(mirror.token)
        assert (said.datasets, said.restart, said.token) == ((), False, mirror.token)


async def test_who_may_have_missed_a_dropped_tombstone_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facility_agent.core.feed.RECORDS", 2)
    async with scene() as at:
        at.catalogue.put(dataset(pid) for pid in "abcdef")
        await at.feed.look()
        followed, paging = Follower(), Follower()
        await followed.follow(at.feed)
        paging.take(await at.feed.changes(""))
        at.catalogue.remove("a")
        await at.feed.look()
        at.now += LONG
        await at.feed.look()
        for mirror in (followed, paging):
            await mirror.follow(at.feed)
            assert (set(mirror.rows), mirror.restarts) == (set("bcdef"), 2)


async def test_what_changes_while_somebody_begins_is_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facility_agent.core.feed.RECORDS", 2)
    async with scene() as at:
        at.catalogue.put(dataset(pid) for pid in "abcdef")
        await at.feed.look()
        mirror = Follower()
        mirror.take(await at.feed.changes(""))
        at.catalogue.put([dataset("a", "new"), dataset("g")])
        at.catalogue.remove("b")
        at.catalogue.remove("f")
        await at.feed.look()
        await mirror.follow(at.feed)
        assert (mirror.rows, mirror.restarts) == (at.open(), 1)
