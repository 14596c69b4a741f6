"""A catalogue with its feed, and a mirror that follows it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from facility_agent.core.feed import Feed
from facility_agent.link.codec import OpenRecordCodec
from facility_agent.ports.catalogue import Reader
from facility_agent.store.feed import SqliteFeed
from facility_agent.testing.memory_catalogue import MemoryCatalogue
from shared.catalogue import Changes, Dataset, SearchPage, SearchQuery
from shared.wire.changes import encode

OPEN, PRIVATE = "P-open", "P-private"


def dataset(pid: str, title: str = "t", proposal: str = OPEN) -> Dataset:
    return Dataset(pid, title, proposal, "I1", "", "", 1.0, None, 1, 1, is_open=False)


class Half(MemoryCatalogue):
    """May say that it is read in part, leaving out the datasets in `hidden` from lists; it still knows them."""

    def __init__(self) -> None:
        super().__init__({OPEN})
        self.hidden: set[str] = set()
        self.looks = 0

    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        self.looks += not query.after
        page = await super().search(query, reader)
        shown = tuple(d for d in page.datasets if d.pid not in self.hidden)
        return replace(page, datasets=shown, complete=not self.hidden)


class Follower:
    """A mirror as the centre keeps one."""

    def __init__(self) -> None:
        self.token, self.rows, self.fresh, self.restarting = "", dict[str, str](), set[str](), False
        self.restarts = 0

    def take(self, said: Changes) -> None:
        encode(said)  # raises when anything is not open, or too large
        if said.restart:
            self.restarting, self.fresh = True, set()
            self.restarts += 1
        for d in said.datasets:
            assert d.proposal == OPEN
            self.rows[d.pid] = d.title
            self.fresh.add(d.pid)
        for pid in said.gone_datasets:
            self.rows.pop(pid, None)
        self.token = said.token
        if self.restarting and said.complete and not said.more:
            self.rows = {pid: self.rows[pid] for pid in self.rows if pid in self.fresh}
            self.restarting = False

    async def follow(self, feed: Feed) -> None:
        for _ in range(200):
            said = await feed.changes(self.token)
            self.take(said)
            if not said.more:
                return
        raise AssertionError("it never ends")


class Scene:
    """A catalogue with its feed."""

    def __init__(self, folder: Path) -> None:
        self.catalogue, self.now, self.folder = Half(), 1000.0, folder
        self.store = self.opened()
        self.feed = Feed(self.catalogue, self.store, OpenRecordCodec(), lambda: self.now, 30.0)

    def opened(self) -> SqliteFeed:
        return SqliteFeed(self.folder / "feed.sqlite3", lambda: self.now)

    async def restart(self, *, cleanly: bool) -> None:
        if cleanly:
            await self.store.close()
        self.store = self.opened()
        self.feed = Feed(self.catalogue, self.store, OpenRecordCodec(), lambda: self.now, 30.0)

    def open(self) -> dict[str, str]:
        return {d.pid: d.title for d in self.catalogue._all if d.proposal == OPEN}


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    with tempfile.TemporaryDirectory() as folder:
        made = Scene(Path(folder))
        yield made
        await made.store.close()
