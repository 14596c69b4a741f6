"""Catalogue over a facility's PaNOSC search API: open data alone."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Set
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from facility_agent.adapters.catalogue import panosc_records as records
from facility_agent.adapters.catalogue.folders import Folders
from facility_agent.adapters.catalogue.panosc_client import NAME, RELATED, Client
from facility_agent.adapters.catalogue.panosc_index import NO_DATASET, Index
from facility_agent.adapters.catalogue.panosc_settings import PanoscSettings, faults
from facility_agent.adapters.http import Bounds, Upstream, unavailable, unusable
from facility_agent.plugins import Fault, Site
from facility_agent.ports.catalogue import CatalogueBackend, Location, Reader
from shared import cursors
from shared.catalogue import (
    Belonging,
    Dataset,
    FilePage,
    Member,
    ProposalPage,
    ProposalQuery,
    SearchPage,
    SearchQuery,
)
from shared.commands import GetFiles
from shared.errors import BackendError, BackendUnavailable, InvalidRequest, NotFound, ParasolError
from shared.limits import LIMITS

T = TypeVar("T")
log = logging.getLogger(__name__)
NO_TEXT = "The question has characters that no text has."
FIRST = "The facility is still reading its catalogue; ask again shortly for the rest."
UNREAD = "The facility's catalogue cannot be read at the moment."
BEHIND = "The facility's catalogue could not be read whole the last time; this may be old."
FILES = 100_000
SHARE = 4
"""The pause between two looks is at least so many times as long as a look takes."""


class Panosc(CatalogueBackend):
    """Reads the whole API again and again, and answers from what it saw.

    What the API shows is anyone's, so everybody sees the same, and nothing is shown because it is somebody's own.
    """

    detail = "The open data of its PaNOSC search API."

    def __init__(
        self, settings: PanoscSettings, client: Client, index: Index, folders: Folders,
        faults: Callable[[], Iterator[Fault]], clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._settings, self._client, self._index, self._folders = settings, client, index, folders
        self.faults, self._clock, self._reading = faults, clock, settings.reading()
        self._complete, self._note = False, FIRST
        self._told, self._telling = set[str](), set[str]()
        self._read_at: float | None = None
        self._has_begun = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Panosc:
        with suppress(sqlite3.Error):
            await self._begin()
        self._task = asyncio.create_task(self._keep_up())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._client.close()

    # --- looks

    async def _keep_up(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 (whatever an API answers never ends the agent)
                self._fail(error)
            self._told, self._telling = self._telling, set()
            await asyncio.sleep(max(self._settings.reread_s, SHARE * (loop.time() - began)))

    async def _begin(self) -> None:
        """What an agent left that stopped long ago, or in the midst of its first look, is nothing to answer from."""
        read_at = await asyncio.to_thread(self._index.read_at)
        if read_at is None or self._clock() - read_at > self._settings.keep_s:
            await asyncio.to_thread(self._index.clear)
            read_at = None
        self._read_at, self._has_begun = read_at, True

    async def look(self) -> None:
        """Read the API once. Raises ParasolError and sqlite3.Error; what is known then stays."""
        if not self._has_begun:
            await self._begin()
        began, client, index = self._clock(), self._client, self._index
        paths = ("/Documents", "/Datasets")
        before = [await client.count(path) for path in paths]
        look = await asyncio.to_thread(index.begin)
        members = await self._members(before[0])
        documents, datasets = set[Any](), set[Any]()
        async for part in client.everything("/Documents", before[0]):
            documents.update(str(row.get("pid")) for row in part)
            found = [records.proposal(row, self._reading, members.get(str(row.get("pid")), ())) for row in part]
            hidden = [self._reading.own(row) for row, each in zip(part, found, strict=True) if each is None]
            await asyncio.to_thread(index.see_proposals, look, [each for each in found if each], hidden)
        async for part in client.everything("/Datasets", before[1], RELATED):
            datasets.update(str(row.get("pid")) for row in part)
            seen = await asyncio.to_thread(lambda rows: [records.seen(row, self._reading) for row in rows], part)
            hidden = [str(row.get("pid")) for row, each in zip(part, seen, strict=True) if each is None]
            await asyncio.to_thread(index.see, look, [each for each in seen if each], hidden)
        after = [await client.count(path) for path in paths]
        for path, found_, first, last in zip(paths, (documents, datasets), before, after, strict=True):
            if not min(first, last) <= len(found_) <= max(first, last):
                raise unusable(NAME, f"to {path} lists {len(found_)} records and counts {first}, then {last}")
        await asyncio.to_thread(index.finish, look, began)
        if not self._complete:
            log.info("the search API was read: %d datasets, %d documents", len(datasets), len(documents))
        self._complete, self._note, self._read_at = True, "", began

    async def _members(self, most: int) -> dict[str, tuple[Member, ...]]:
        """Members by a document's pid; none when the API refuses to tell them."""
        found: dict[str, tuple[Member, ...]] = {}
        try:
            async for part in self._client.members(most):
                found.update((str(row.get("pid")), records.members(row)) for row in part)
        except BackendUnavailable:
            raise
        except (BackendError, NotFound) as error:
            self._tell(f"members are not told: {error.__cause__ or error}")
        return found

    def _fail(self, error: Exception) -> None:
        self._complete, self._note = False, UNREAD if self._read_at is None else BEHIND
        self._tell(f"{type(error).__name__}: {error.__cause__ or error}")

    def _tell(self, what: str) -> None:
        """Log what the look before this one did not meet."""
        if what not in self._told | self._telling:
            log.warning("the search API: %s", what)
        self._telling.add(what)

    # --- answers

    async def _ask(self, unheard: ParasolError, work: Callable[..., T], *values: Any) -> T:
        """Off the event loop, and the one place where the index's errors become ours."""
        is_old = self._read_at is not None and self._clock() - self._read_at > self._settings.keep_s
        if is_old or not self._has_begun:
            raise unavailable(NAME)
        try:
            return await asyncio.to_thread(work, *values)
        except UnicodeEncodeError:  # half a surrogate pair
            raise unheard from None
        except sqlite3.Error as error:
            raise unavailable(NAME) from error

    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        """One page of open data."""
        own = reader.proposals if query.belonging is Belonging.OWN else None
        page = await self._ask(InvalidRequest(NO_TEXT), self._index.search, query, own)
        return SearchPage(page.datasets, page.next, self._complete, self._note)

    async def get(self, pid: str, reader: Reader) -> Dataset:
        """One dataset."""
        return (await self._ask(NotFound(NO_DATASET), self._index.get, pid))[1]

    async def proposals(self, query: ProposalQuery, reader: Reader) -> ProposalPage:
        """One page of public proposals."""
        page = await self._ask(InvalidRequest(NO_TEXT), self._index.proposals, query)
        return ProposalPage(page.proposals, page.next, self._complete, self._note)

    async def files(self, wanted: GetFiles, reader: Reader) -> FilePage:
        """One page of a dataset's files, asked of the API now."""
        if not 1 <= wanted.limit <= LIMITS.page:
            raise InvalidRequest(f"A page holds 1 to {LIMITS.page} files.")
        after = cursors.read(wanted.after, str)[0] if wanted.after else ""
        raw, _ = await self._ask(NotFound(NO_DATASET), self._index.get, wanted.pid)
        files = await asyncio.to_thread(records.files, await self._client.files(raw, FILES))
        later = [file for file in files if file.path > after]
        page = tuple(later[: wanted.limit])
        return FilePage(page, cursors.write(page[-1].path) if len(later) > len(page) else "", len(files))

    async def locate(self, proposal: str) -> Location:
        """The folder that the settings' template says."""
        return await self._folders.locate(proposal)

    async def instruments(self) -> tuple[str, ...]:
        """Instruments of open datasets."""
        return await self._ask(NotFound(), self._index.instruments)

    async def open_proposals(self) -> Set[str]:
        """Public proposals where the site says that their folders hold nothing else; else none, since an API shows no more than what is open."""
        return await self._ask(NotFound(), self._index.names) if self._settings.all_open else frozenset()


class PanoscPlugin:
    """The adapter `panosc`."""

    settings = PanoscSettings

    @staticmethod
    def build(settings: PanoscSettings, site: Site) -> Panosc:
        """The adapter; it begins to read when it is entered."""
        at = site.config_folder
        upstream = Upstream(
            settings.url, NAME, Bounds(settings.timeout_s, settings.answer_bytes),
            ca_file=at / settings.ca_file if settings.ca_file else None,
        )  # fmt: skip
        folders = Folders(at / settings.root if settings.root else None, settings.folder)
        return Panosc(
            settings, Client(upstream, settings.page, settings.facility), Index(site.state / "panosc.sqlite3"), folders,
            partial(faults, settings, at),
        )  # fmt: skip
