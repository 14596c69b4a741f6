"""The feed of open metadata: a mirror that follows it is what the catalogue shows to strangers, and nothing more."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facility_agent.core.feed import CHECKED, Feed
from facility_agent.link.codec import OpenRecordCodec
from facility_agent.ports.catalogue import Reader
from facility_agent.ports.status import FeedStatus
from facility_agent.testing.memory_catalogue import MemoryCatalogue
from shared.catalogue import SearchPage, SearchQuery
from shared.errors import BackendUnavailable
from tests.feed_scene import OPEN, PRIVATE, Follower, Scene, dataset, scene

PUT = st.tuples(
    st.just("put"), st.sampled_from("abcdef"), st.sampled_from("xyz"), st.sampled_from([OPEN, PRIVATE])
)
STEP = st.one_of(
    PUT, PUT, st.tuples(st.just("remove"), st.sampled_from("abcdef")),
    st.tuples(st.just("hide"), st.sampled_from("abcdef")),
    st.tuples(st.sampled_from(["look", "partial", "down", "follow", "page", "restart", "crash", "another", "forget"])),
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(steps=st.lists(STEP, max_size=25), most=st.integers(1, 4))
def test_a_mirror_that_follows_is_what_is_open(steps: list[Any], most: int) -> None:
    asyncio.run(_follows(steps, most))


async def _follows(steps: list[Any], most: int) -> None:
    async with scene() as at:
        mirror = Follower()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("facility_agent.core.feed.RECORDS", most)
            for step in [*steps, ("look",), ("follow",)]:
                mirror = await _step(at, mirror, step)
            assert mirror.rows == at.open()


async def _step(at: Scene, mirror: Follower, step: Any) -> Follower:
    match step:
        case ("put", pid, title, proposal):
            at.catalogue.put([dataset(pid, title, proposal)])
        case ("remove", pid):
            at.catalogue.remove(pid)
        case ("hide", pid):
            at.catalogue.hidden ^= {pid}
        case ("look",):
            at.catalogue.hidden = set()
            await at.feed.look()
        case ("partial",):
            at.catalogue.hidden |= {"a"}
            await at.feed.look()
        case ("down",):
            at.catalogue.down = True
            with pytest.raises(BackendUnavailable):
                await at.feed.look()
            at.catalogue.down = False
        case ("follow",):
            await mirror.follow(at.feed)
        case ("page",):
            mirror.take(await at.feed.changes(mirror.token))
        case ("restart",) | ("crash",):
            await at.restart(cleanly=step == ("restart",))
        case ("forget",):
            at.now += 100 * 86_400.0
            at.catalogue.hidden = set()
            await at.feed.look()
        case ("another",):
            return Follower()
    return mirror


async def test_a_partial_look_says_what_the_catalogue_denies_and_nothing_else_is_gone() -> None:
    async with scene() as at:
        mirror = Follower()
        at.catalogue.put(dataset(pid) for pid in "abcd")
        await at.feed.look()
        await mirror.follow(at.feed)
        assert mirror.rows.keys() == set("abcd")
        at.catalogue.hidden = {"a", "b"}
        at.catalogue.put([dataset("b", proposal=PRIVATE), dataset("c", proposal=PRIVATE)])
        at.catalogue.remove("d")
        await at.feed.look()
        await mirror.follow(at.feed)
        assert mirror.rows.keys() == {"a"}, "what could not be read stays; what is private or deleted now does not"


async def test_a_look_that_fails_changes_nothing_and_age_tells() -> None:
    async with scene() as at:
        at.catalogue.put([dataset("a")])
        assert not (await at.feed.changes("")).complete, "nothing has been read yet"
        await at.feed.look()
        at.now += 10
        said = await at.feed.changes("")
        assert ([d.pid for d in said.datasets], said.age, said.complete, said.restart) == (["a"], 10.0, True, True)
        at.catalogue.down = True
        with pytest.raises(BackendUnavailable):
            await at.feed.look()
        assert (await at.feed.changes(said.token)).datasets == ()
        assert [d.pid for d in (await at.feed.changes("")).datasets] == ["a"]


async def test_nothing_new_is_said_of_what_is_the_same() -> None:
    async with scene() as at:
        at.catalogue.put([dataset("a"), dataset("b")])
        await at.feed.look()
        token = (await at.feed.changes("")).token
        for _ in range(3):
            await at.feed.look()
            said = await at.feed.changes(token)
            assert (said.datasets, said.gone_datasets, said.token, said.restart) == ((), (), token, False)


@pytest.mark.parametrize("end", ["cleanly", "by a crash", "with its file lost"])
async def test_after_a_restart_a_token_holds_only_if_nothing_can_be_missing(end: str) -> None:
    async with scene() as at:
        at.catalogue.put([dataset("a")])
        await at.feed.look()
        token = (await at.feed.changes("")).token
        if end == "with its file lost":
            await at.store.close()
            for file in at.folder.iterdir():
                file.unlink()
        await at.restart(cleanly=end == "cleanly")
        assert (await at.feed.changes(token)).restart is (end != "cleanly")


@pytest.mark.parametrize(
    "token", ["x", ":", "x:1", ":1", "1", "{id}:-1", "{id}:1.5", "{id}:99", "{id}:1:99", "{id}:1:-1", "{id}:1:1:1", "{id}:", "{id}:1:", "{id}:²", "{id}:" + "9" * 30, "'; drop", "\ud800"]
)  # fmt: skip
async def test_a_token_that_is_not_this_feeds_begins_again(token: str) -> None:
    async with scene() as at:
        at.catalogue.put([dataset("a")])
        await at.feed.look()
        feed_id = (await at.feed.changes("")).token.partition(":")[0]
        said = await at.feed.changes(token.replace("{id}", feed_id))
        assert said.restart
        assert [d.pid for d in said.datasets] == ["a"]


async def test_many_that_vanish_at_once_are_believed_of_a_whole_look() -> None:
    async with scene() as at:
        at.catalogue.put(dataset(f"d{n}") for n in range(CHECKED + 50))
        await at.feed.look()
        mirror = Follower()
        await mirror.follow(at.feed)
        assert len(mirror.rows) == CHECKED + 50
        for n in range(CHECKED + 50):
            at.catalogue.remove(f"d{n}")
        await at.feed.look()
        await mirror.follow(at.feed)
        assert mirror.rows == {}
        assert mirror.restarts == 1


async def test_status_counts_what_is_there_and_says_when_it_is_not_whole() -> None:
    async with scene() as at:
        assert await at.feed.status() == FeedStatus(0, 0, None, complete=False)
        at.catalogue.put([dataset("a"), dataset("b"), dataset("secret", proposal=PRIVATE)])
        await at.feed.look()
        at.catalogue.remove("b")
        await at.feed.look()
        at.now += 10
        said = await at.feed.changes("")
        assert await at.feed.status() == FeedStatus(1, len(said.proposals), 10.0, complete=True)
        at.catalogue.hidden = {"a"}
        await at.feed.look()
        assert await at.feed.status() == FeedStatus(1, len(said.proposals), 10.0, complete=False)


class Stuck(MemoryCatalogue):
    """Gives the same page again and again."""

    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        return replace(await super().search(replace(query, after=""), reader), next="on")


async def test_a_catalogue_that_does_not_go_on_ends_the_look_and_buries_nothing() -> None:
    async with scene() as at:
        at.catalogue.put([dataset("a")])
        await at.feed.look()
        token = (await at.feed.changes("")).token
        feed = Feed(Stuck({OPEN}), at.store, OpenRecordCodec(), lambda: at.now, 30.0)
        with pytest.raises(BackendUnavailable):
            await feed.look()
        said = await feed.changes(token)
        assert (said.gone_datasets, said.complete) == ((), False)
