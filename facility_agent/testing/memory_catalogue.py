"""A catalogue in memory, for authors of adapters and for benchmarks."""

from __future__ import annotations

import bisect
import json
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import replace
from pathlib import Path

from facility_agent.ports.catalogue import CatalogueBackend, Location
from shared.catalogue import Dataset, SearchPage, SearchQuery, sort_key
from shared.errors import BackendUnavailable, InvalidRequest, NotFound


class MemoryCatalogue(CatalogueBackend):
    """Datasets, and the folder of each proposal that has one. `down` says that it cannot be read."""

    detail = "In memory."

    def __init__(self, open_proposals: Set[str], folders: Mapping[str, Path] | None = None) -> None:
        self.down = False
        self._open, self._folders = frozenset(open_proposals), dict(folders or {})
        self._all: list[Dataset] = []

    def put(self, datasets: Iterable[Dataset]) -> None:
        """Add datasets, or replace those with the same pid."""
        fresh = {d.pid: replace(d, is_open=d.proposal in self._open) for d in datasets}
        kept = [d for d in self._all if d.pid not in fresh]
        self._all = sorted([*kept, *fresh.values()], key=sort_key)

    def remove(self, pid: str) -> None:
        """Forget one; no error when there is none."""
        self._all = [d for d in self._all if d.pid != pid]

    async def search(self, query: SearchQuery, readable: Set[str]) -> SearchPage:
        """One page of what is open or readable."""
        everything = self._asked()
        begin = bisect.bisect_right(everything, _position(query.after), key=sort_key) if query.after else 0
        wanted = _wanted(query, readable | self._open)
        found = []
        for dataset in everything[begin:]:
            if wanted(dataset):
                found.append(dataset)
            if len(found) > query.limit:
                break
        page = tuple(found[: query.limit])
        more = len(found) > query.limit
        return SearchPage(page, json.dumps(sort_key(page[-1])).encode().hex() if more else "")

    async def get(self, pid: str, readable: Set[str]) -> Dataset:
        """One dataset."""
        for dataset in self._asked():
            if dataset.pid == pid and dataset.proposal in readable | self._open:
                return dataset
        raise NotFound("There is no such dataset.")

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

    def is_wanted(dataset: Dataset) -> bool:
        if dataset.proposal not in proposals or (
            query.instruments and dataset.instrument not in query.instruments
        ):
            return False
        if (since is not None or until is not None) and dataset.started is None:
            return False
        if since is not None and (dataset.started or 0.0) < since:
            return False
        if until is not None and (dataset.started or 0.0) > until:
            return False
        said = f"{dataset.title} {dataset.proposal} {dataset.instrument} {dataset.sample} {dataset.definition}"
        there = said.casefold().split()
        return all(any(word.startswith(asked) for word in there) for asked in words)

    return is_wanted


def _position(after: str) -> tuple[float, str]:
    try:
        rank, pid = json.loads(bytes.fromhex(after))
        if type(rank) is not float or type(pid) is not str:
            raise ValueError("another catalogue's")
    except (ValueError, TypeError, RecursionError):
        raise InvalidRequest("This page cursor is not one of this catalogue's.") from None
    return rank, pid
