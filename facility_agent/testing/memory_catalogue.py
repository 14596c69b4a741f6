"""A catalogue in memory, for authors of adapters and for benchmarks."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import replace
from pathlib import Path

from facility_agent.ports.catalogue import CatalogueBackend, Location, Reader, RestorableCatalogue
from shared import cursors
from shared.catalogue import (
    ArchiveState,
    DataFile,
    Dataset,
    FilePage,
    Order,
    Proposal,
    ProposalPage,
    ProposalQuery,
    SearchPage,
    SearchQuery,
    sort_key,
)
from shared.commands import GetFiles
from shared.errors import BackendUnavailable, NotFound, Unsupported
from shared.limits import LIMITS
from shared.techniques import narrower


class MemoryCatalogue(CatalogueBackend, RestorableCatalogue):
    """Datasets, the folder of each proposal that has one, and an archive.

    `down` says that it cannot be read. `asked` are the pids that the archive was really asked for, in order.
    """

    detail = "In memory."

    def __init__(self, open_proposals: Set[str], folders: Mapping[str, Path] | None = None) -> None:
        self.down = False
        self._open, self._folders = frozenset(open_proposals), dict(folders or {})
        self._all: list[Dataset] = []
        self._files: dict[str, tuple[DataFile, ...]] = {}
        self.asked: list[str] = []

    def put(self, datasets: Iterable[Dataset], files: Mapping[str, Iterable[DataFile]] | None = None) -> None:
        """Add datasets, or replace those with the same pid; `files` by pid."""
        for pid, listed in (files or {}).items():
            self._files[pid] = tuple(sorted(listed, key=lambda file: file.path))
        fresh = {d.pid: replace(d, is_open=d.proposal in self._open) for d in datasets}
        kept = [d for d in self._all if d.pid not in fresh]
        self._all = sorted([*kept, *fresh.values()], key=sort_key)

    def remove(self, pid: str) -> None:
        """Forget one; no error when there is none."""
        self._all = [d for d in self._all if d.pid != pid]

    def set_state(self, pid: str, state: ArchiveState) -> None:
        """Where the archive has a dataset now."""
        self._all = [replace(d, state=state) if d.pid == pid else d for d in self._all]

    async def restore(self, pid: str, reader: Reader) -> ArchiveState:
        """Ask the archive, unless it is there or on its way."""
        state = (await self.get(pid, reader)).state
        if state is ArchiveState.ARCHIVED:
            self.asked.append(pid)
            self.set_state(pid, ArchiveState.RESTORING)
            return ArchiveState.RESTORING
        if state is ArchiveState.UNKNOWN:
            raise Unsupported("The facility's archive cannot bring this dataset back.")
        return state

    async def restore_state(self, pid: str) -> ArchiveState:
        """Where it is."""
        for dataset in self._asked():
            if dataset.pid == pid:
                return dataset.state
        raise NotFound("There is no such dataset.")

    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        """One page of what is open or the reader's. The more of the words a title has, the better it matches."""
        if query.order is Order.RELEVANCE:
            return self._best(query, reader)
        everything = self._asked()
        begin = (
            bisect.bisect_right(everything, tuple(cursors.read(query.after, float, str)), key=sort_key)
            if query.after
            else 0
        )
        wanted = _wanted(query, reader.proposals | self._open)
        found = []
        for dataset in everything[begin:]:
            if wanted(dataset):
                found.append(dataset)
            if len(found) > query.limit:
                break
        page = tuple(found[: query.limit])
        more = len(found) > query.limit
        return SearchPage(page, cursors.write(*sort_key(page[-1])) if more else "")

    def _best(self, query: SearchQuery, reader: Reader) -> SearchPage:
        begin = tuple(cursors.read(query.after, int, float, str)) if query.after else ()
        wanted = _wanted(query, reader.proposals | self._open)
        words = list(dict.fromkeys(query.text.casefold().split()))[: LIMITS.judged_words]
        places = {
            (sum(not _has([word], d.title) for word in words), *sort_key(d)): d for d in self._asked() if wanted(d)
        }
        left = [place for place in sorted(places) if place > begin]
        shown = left[: query.limit]
        more = len(left) > query.limit
        return SearchPage(tuple(places[place] for place in shown), cursors.write(*shown[-1]) if more else "")

    async def get(self, pid: str, reader: Reader) -> Dataset:
        """One dataset."""
        for dataset in self._asked():
            if dataset.pid == pid and dataset.proposal in reader.proposals | self._open:
                return dataset
        raise NotFound("There is no such dataset.")

    async def proposals(self, query: ProposalQuery, reader: Reader) -> ProposalPage:
        """One page of proposals that have datasets."""
        names = {d.proposal for d in self._asked() if d.proposal in reader.proposals | self._open}
        words = query.text.casefold().split()
        after = cursors.read(query.after, str)[0] if query.after else ""
        names = {
            name for name in names
            if name > after and (not query.proposals or name in query.proposals)
            and all(word in name.casefold() for word in words)
        }  # fmt: skip
        found = [self._proposal(name) for name in sorted(names)[: query.limit]]
        return ProposalPage(tuple(found), cursors.write(found[-1].pid) if len(names) > query.limit else "")

    def _proposal(self, name: str) -> Proposal:
        mine = [d for d in self._all if d.proposal == name]
        begun = [d.started for d in mine if d.started is not None]
        used = tuple(sorted({d.instrument for d in mine if d.instrument}))
        return Proposal(name, started=min(begun, default=None), instruments=used, is_open=name in self._open)

    async def files(self, wanted: GetFiles, reader: Reader) -> FilePage:
        """One page of the files that were put."""
        await self.get(wanted.pid, reader)
        files = self._files.get(wanted.pid, ())
        after = cursors.read(wanted.after, str)[0] if wanted.after else ""
        left = [file for file in files if file.path > after]
        page = tuple(left[: wanted.limit])
        return FilePage(page, cursors.write(page[-1].path) if len(left) > wanted.limit else "", len(files))

    async def locate(self, proposal: str) -> Location:
        """The folder that was given for it."""
        self._asked()
        if proposal not in self._folders:
            raise NotFound("The data of this proposal are not on this facility's disks.")
        return Location(proposal, self._folders[proposal].resolve())

    async def instruments(self) -> tuple[str, ...]:
        """Instruments of open datasets."""
        return tuple(sorted({d.instrument for d in self._asked() if d.is_open and d.instrument}))

    async def open_proposals(self) -> Set[str]:
        """Proposals that anyone may read."""
        return self._open

    def _asked(self) -> list[Dataset]:
        if self.down:
            raise BackendUnavailable("The facility's catalogue cannot be read.")
        return self._all


def _wanted(query: SearchQuery, visible: Set[str]) -> Callable[[Dataset], bool]:
    """Whether a dataset answers a question that is asked with these proposals in sight."""
    proposals = visible & set(query.proposals) if query.proposals else visible
    words = query.text.casefold().split()
    since, until = query.since, query.until
    asked = frozenset[str]().union(*map(narrower, query.techniques))
    of_sample = query.sample.casefold().split()

    def is_wanted(dataset: Dataset) -> bool:
        if dataset.proposal not in proposals or (
            query.instruments and dataset.instrument not in query.instruments
        ):
            return False
        if query.techniques and asked.isdisjoint(dataset.techniques):
            return False
        if not _has(of_sample, dataset.sample):
            return False
        if (since is not None or until is not None) and dataset.started is None:
            return False
        if since is not None and (dataset.started or 0.0) < since:
            return False
        if until is not None and (dataset.started or 0.0) > until:
            return False
        said = f"{dataset.title} {dataset.proposal} {dataset.instrument} {dataset.sample} {dataset.definition}"
        return _has(words, said)

    return is_wanted


def _has(words: list[str], said: str) -> bool:
    there = said.casefold().split()
    return all(any(word.startswith(asked) for word in there) for asked in words)
