"""Catalogues for the catalogue suite."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import h5py

from facility_agent.adapters.catalogue.nexus_folder import NexusFolder, NexusFolderSettings
from facility_agent.plugins import Site
from facility_agent.ports.catalogue import RestorableCatalogue
from facility_agent.testing.catalogue_world import CatalogueWorld, Known, RestorableWorld
from facility_agent.testing.memory_catalogue import MemoryCatalogue
from facility_agent.testing.patience import eventually
from shared.catalogue import ArchiveState, Dataset, SearchQuery

OPEN = "P-open"


def name_of(title: str) -> str:
    """A file's name for a title."""
    return hashlib.sha256(title.encode()).hexdigest()[:16]


class MemoryWorld(RestorableWorld):
    """A catalogue in memory, with an archive."""

    open_proposal = OPEN

    def __init__(self, folder: Path) -> None:
        self.roots = (folder.resolve(),)
        self._folders: dict[str, Path] = {}
        for proposal in (OPEN, "P-mine", "P-theirs"):
            self._folders[proposal] = folder / name_of(proposal)
            self._folders[proposal].mkdir()
        self.backend = MemoryCatalogue({OPEN}, self._folders)

    async def put(self, *known: Known) -> None:
        self.backend.put(
            [
                Dataset(
                    name_of(k.title), k.title, k.proposal, k.instrument, k.sample, k.definition, k.started, None, 1,
                    len(k.files), is_open=False, techniques=k.techniques,
                )
                for k in known
            ],
            {name_of(k.title): k.files for k in known},
        )  # fmt: skip

    async def remove(self, title: str) -> None:
        self.backend.remove(name_of(title))

    async def archive(self, title: str) -> None:
        self.backend.set_state(name_of(title), ArchiveState.ARCHIVED)

    async def arrive(self, title: str) -> None:
        self.backend.set_state(name_of(title), ArchiveState.ONLINE)

    async def fail(self, title: str) -> None:
        self.backend.set_state(name_of(title), ArchiveState.ARCHIVED)

    async def asked(self, title: str) -> int:
        return self.backend.asked.count(name_of(title))

    async def reopened(self) -> RestorableCatalogue:
        return self.backend  # what would be another one has nothing of its own

    @contextmanager
    def outage(self) -> Iterator[None]:
        self.backend.down = True
        yield
        self.backend.down = False


class NexusWorld(CatalogueWorld):
    """A folder of NeXus files: one folder a proposal."""

    open_proposal = OPEN
    holds_terms = False

    def __init__(self, folder: Path) -> None:
        self.data, state = folder / "data", folder / "state"
        self.data.mkdir()
        state.mkdir()
        self.roots = (self.data.resolve(),)
        settings = NexusFolderSettings(folder=self.data, open_proposals=(OPEN,), rescan_s=0.02)
        self.backend = NexusFolder(settings, self.data, Site("alpha", state, folder))
        self._where: dict[str, Path] = {}
        self._proposals = {OPEN}

    async def put(self, *known: Known) -> None:
        for k in known:
            self._where[k.title] = self.data / k.proposal / f"{name_of(k.title)}.nxs"
            write(self._where[k.title], k)
        self._proposals |= {k.proposal for k in known}
        await self._caught_up()

    async def remove(self, title: str) -> None:
        self._where.pop(title).unlink()
        await self._caught_up()

    async def _caught_up(self) -> None:
        await eventually(self._same, "the index has caught up")

    async def _same(self) -> bool:
        found: list[str] = []
        query = SearchQuery(limit=100)
        while True:
            page = await self.backend.search(query, self.reader(*self._proposals))
            found += [d.title for d in page.datasets]
            if not page.next:
                return page.complete and sorted(found) == sorted(self._where)
            query = SearchQuery(limit=100, after=page.next)

    @contextmanager
    def outage(self) -> Iterator[None]:
        aside = self.data.with_name("aside")
        self.data.rename(aside)
        yield
        aside.rename(self.data)


def write(path: Path, known: Known) -> None:
    """A NeXus file that says what is known."""
    path.parent.mkdir(exist_ok=True)
    partial = path.with_suffix(".part")
    with h5py.File(partial, "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        entry["title"], entry["definition"] = known.title, known.definition
        entry["experiment_identifier"] = known.proposal
        if known.started is not None:
            entry["start_time"] = datetime.fromtimestamp(known.started, UTC).isoformat()
        for name, kind, said in (
            ("instrument", "NXinstrument", known.instrument),
            ("sample", "NXsample", known.sample),
        ):
            group = entry.create_group(name)
            group.attrs["NX_class"] = kind
            group["name"] = said
    partial.rename(path)


@asynccontextmanager
async def memory_catalogue(folder: Path) -> AsyncIterator[CatalogueWorld]:
    yield MemoryWorld(folder)


@asynccontextmanager
async def nexus_folder(folder: Path) -> AsyncIterator[CatalogueWorld]:
    world = NexusWorld(folder)
    async with world.backend:
        await world.backend.ready()
        yield world
