"""Catalogue over a folder of NeXus/HDF5 files, for a facility that has no other."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Set
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field

from facility_agent.adapters.catalogue.nexus_index import Index
from facility_agent.adapters.catalogue.nexus_reader import Reader
from facility_agent.plugins import Fault, Site
from facility_agent.ports.catalogue import CatalogueBackend, Location
from facility_agent.ports.catalogue import Reader as Asker
from facility_agent.tables import Table
from shared.catalogue import Dataset, FilePage, ProposalPage, ProposalQuery, SearchPage, SearchQuery
from shared.commands import GetFiles
from shared.errors import BackendUnavailable, InvalidRequest, NotFound, ParasolError

T = TypeVar("T")
log = logging.getLogger(__name__)
NO_DATASET = "There is no such dataset."
NO_TEXT = "The question has characters that no text has."
NO_DATA = "The data of this proposal are not on this facility's disks."
FIRST = "The facility is still reading its files; ask again shortly for the rest."
UNREADABLE = "The facility cannot read its folder of files at the moment."
PARTLY = "The facility cannot read some of its folders at the moment."


class NexusFolderSettings(Table):
    """Settings of the adapter `nexus_folder`."""

    folder: Path = Field(description="Holds the files: <folder>/<proposal>/…, or files that name their proposal.")
    open_proposals: tuple[str, ...] = Field(default=(), description="Proposals whose data anyone may read.")
    rescan_s: float = Field(default=30.0, gt=0, description="Pause between two looks at the folder.")


class NexusFolder(CatalogueBackend):
    """One dataset per file. A proposal is what the file names, else its first folder below the root."""

    def __init__(self, settings: NexusFolderSettings, root: Path, site: Site) -> None:
        self._settings, self._root, self._state = settings, root.resolve(), site.state
        self._index = Index(site.state / "index.sqlite3", self._root, site.facility_id)
        self._open = frozenset(settings.open_proposals)
        self._complete, self._note, self._unreadable = False, FIRST, 0
        self._task: asyncio.Task[None] | None = None
        self._first, self._leaving = asyncio.Event(), threading.Event()

    async def __aenter__(self) -> NexusFolder:
        self._task = asyncio.create_task(self._keep_up())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @property
    def detail(self) -> str:
        """For people: what this catalogue is, and how many files it could not read at its last look."""
        return "Live search of a folder of NeXus files." + (
            f" {self._unreadable} files could not be read." if self._unreadable else ""
        )

    async def ready(self) -> None:
        """Returns once the folder has been read for the first time."""
        await self._first.wait()

    async def _keep_up(self) -> None:
        reader = Reader()
        try:
            while True:
                look = asyncio.create_task(self._look(reader))
                try:
                    await asyncio.shield(look)
                except asyncio.CancelledError:
                    # Its thread ends with the file under way; a reader closed under it would call that file bad.
                    self._leaving.set()
                    await look
                    raise
                await asyncio.sleep(self._settings.rescan_s)
        finally:
            reader.close()

    async def _look(self, reader: Reader) -> None:
        try:
            if not await asyncio.to_thread(os.access, self._root, os.R_OK | os.X_OK):
                raise OSError(f"{self._root} cannot be read")
            read, closed = await asyncio.to_thread(self._index.update, reader, self._leaving.is_set)
            self._unreadable = len(await asyncio.to_thread(self._index.problems))
        except (OSError, sqlite3.Error):
            log.exception("the folder of files could not be read")
            self._complete, self._note = False, UNREADABLE
            return
        if closed:
            log.warning("%d folders cannot be read; what was known of their files is kept", len(closed))
        self._complete, self._note = not closed, PARTLY if closed else ""
        self._first.set()
        if read:
            log.info("index: %d files read, %d cannot be read", read, self._unreadable)

    async def search(self, query: SearchQuery, reader: Asker) -> SearchPage:
        """One page of what is open or the reader's."""
        page = await self._ask(InvalidRequest(NO_TEXT), self._index.search, query, reader.proposals, self._open)
        return SearchPage(page.datasets, page.next, self._complete, self._note)

    async def get(self, pid: str, reader: Asker) -> Dataset:
        """One dataset."""
        return await self._ask(NotFound(NO_DATASET), self._index.get, pid, reader.proposals, self._open)

    async def proposals(self, query: ProposalQuery, reader: Asker) -> ProposalPage:
        """One page of proposals that have files and are open or the reader's; all that files say of one are its datasets."""
        page = await self._ask(
            InvalidRequest(NO_TEXT), self._index.proposals_page, query, reader.proposals, self._open
        )
        return ProposalPage(page.proposals, page.next, self._complete, self._note)

    async def files(self, wanted: GetFiles, reader: Asker) -> FilePage:
        """The one file that the dataset is."""
        return await self._ask(NotFound(NO_DATASET), self._index.files, wanted, reader.proposals, self._open)

    async def instruments(self) -> tuple[str, ...]:
        """Instruments of open datasets."""
        return await self._ask(NotFound(), self._index.instruments, self._open)

    async def open_proposals(self) -> Set[str]:
        """Proposals that anyone may read."""
        return self._open

    def faults(self) -> Iterator[Fault]:
        """What keeps it from reading its folder."""
        if not self._root.is_dir():
            yield Fault("folder", f"{self._root} is not a folder.", "Create it, mount it or mend the path.")
        elif not os.access(self._root, os.R_OK | os.X_OK):
            yield Fault("folder", f"{self._root} cannot be read.", "Let this user read it.")

    def problems(self) -> list[tuple[str, str]]:
        """(relative path, why) of files that could not be read."""
        return self._index.problems()

    async def locate(self, proposal: str) -> Location:
        """A folder that holds this proposal's files and nothing of another.

        The folder that is named like it or that alone holds its files; else a folder of hard links made for it.
        """
        return Location(proposal, await self._ask(NotFound(NO_DATA), self._locate, proposal))

    async def _ask(self, unheard: ParasolError, work: Callable[..., T], *values: Any) -> T:
        """Off the event loop, and the one place where the index's and the disk's own errors become ours."""
        try:
            return await asyncio.to_thread(work, *values)
        except UnicodeEncodeError:  # half a surrogate pair
            raise unheard from None
        except (sqlite3.Error, OSError) as error:
            raise BackendUnavailable("The facility's catalogue cannot be read at the moment.") from error

    def _locate(self, proposal: str) -> Path:
        paths = self._index.paths_of(proposal)
        if not paths:
            raise NotFound(NO_DATA)
        common = os.path.commonpath([Path("x", path).parent for path in paths])[2:]
        if not self._index.others_below(common, proposal):
            return self._contained(self._root / common)
        return self._linked(proposal, paths)

    def _contained(self, folder: Path) -> Path:
        resolved = folder.resolve(strict=True)
        if not resolved.is_relative_to(self._root):
            raise NotFound("The data of this proposal lie outside of the facility's folder.")
        return resolved

    def _linked(self, proposal: str, paths: list[str]) -> Path:
        view = self._state / "views" / hashlib.sha256(proposal.encode()).hexdigest()[:24]
        fresh = view.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        for path in paths:
            target = fresh / path
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(self._contained(self._root / path), target, follow_symlinks=False)
            except OSError:
                raise NotFound("The files of this proposal lie among others and cannot be shown alone.") from None
        shutil.rmtree(view, ignore_errors=True)
        fresh.rename(view)
        return view


class NexusFolderPlugin:
    """The adapter `nexus_folder`."""

    settings = NexusFolderSettings

    @staticmethod
    def build(settings: NexusFolderSettings, site: Site) -> NexusFolder:
        """The adapter; it begins to read when it is entered."""
        return NexusFolder(settings, site.config_folder / settings.folder, site)
