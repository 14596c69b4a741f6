"""Probes of a catalogue whose content nobody knows: what its port guarantees is tried with what is there."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any

from facility_agent.ports.catalogue import STRANGER, CatalogueBackend, Location, Reader, RestorableCatalogue
from facility_agent.probing import rules
from facility_agent.probing.hostile import PAGE, PATIENCE, hostile
from facility_agent.probing.results import FAULT, Place, Probes, short
from shared.catalogue import ArchiveState, Belonging, ProposalQuery, SearchPage, SearchQuery
from shared.commands import GetFiles
from shared.errors import InvalidRequest, NotFound, ParasolError
from shared.limits import LIMITS

SMALL, PAGES, FOLDERS = 7, 8, 3
LOOK_AGAIN = 0.25
Locate = Callable[[str, Reader], Coroutine[Any, Any, Sequence[Location]]]


@dataclass(frozen=True, slots=True)
class Shelf:
    """A catalogue as the agent asks it: `locate` says where a proposal's data are, as a launch asks it; `archive` is what
    brings data back, None without; `mounts_unknown` whether data are mounted of which nobody can tell where they are.
    """

    backend: CatalogueBackend
    locate: Locate
    archive: RestorableCatalogue | None = None
    mounts_unknown: bool = False


class CatalogueProbes:
    """Asks in the name of `reader`; nothing of what it asks changes anything."""

    def __init__(self, shelf: Shelf, reader: Reader, place: Place, seconds: float) -> None:
        self._shelf, self._backend, self._reader, self._place = shelf, shelf.backend, reader, place
        self._probes, self._seconds = Probes(place, seconds), seconds
        self._is_stranger = reader.account is None
        self._page, self._is_read = SearchPage(), False

    @property
    def hung(self) -> bool:
        """Whether something did not come back in time."""
        return self._probes.hung

    async def run(self) -> None:
        """All of them, one after the other; without a first page nothing else is tried."""
        await self._probes.run("search", self._search)
        if not self._is_read:
            self._place.skip("everything else", "the first page could not be read.")
            return
        await self._probes.run("paging", self._paging)
        if self._page.datasets:
            await self._probes.run("dataset", self._dataset)
            await self._probes.run("files", self._files)
            await self._probes.run("archive", self._archive)
            await self._probes.run("folders", self._folders)
        else:
            self._place.skip("dataset, files, archive and folders", "there is no dataset to try them with.")
        await self._probes.run("proposals", self._proposals)
        await self._probes.run("unknown names", self._unknown)
        if self._is_stranger:
            await self._probes.run("open data", self._public)
            await self._probes.run("hostile text", lambda: hostile(self._backend, self._place, self._seconds))
        else:
            await self._probes.run("own data", self._own)

    # --- each probe

    async def _search(self) -> None:
        """The first page; catalogues that read ahead get time to read."""
        query, end = SearchQuery(limit=PAGE), time.monotonic() + PATIENCE * self._seconds
        while True:
            began = time.monotonic()
            page = await self._backend.search(query, self._reader)
            took = time.monotonic() - began
            if page.complete or time.monotonic() > end:
                break
            await asyncio.sleep(LOOK_AGAIN)
        self._page = page
        if not page.complete and not page.datasets:
            mend = "See the log's lines here, if there are any; else there is much to read: give it a larger --within."
            self._place.fail("search", page.note, mend)
            return
        self._is_read = True
        whose = "open datasets" if self._is_stranger else "datasets"
        said = f"{len(page.datasets)} {whose} on the first page, in {took:.2f} s."
        if not self._place.judge("search", rules.of_page(page, query, everybody=self._is_stranger), said):
            return
        if not page.complete:
            self._place.warn("search", page.note, "The agent goes on; probe again with a larger --within.")
        if took > LIMITS.query_deadline:
            self._place.warn(
                "search", f"The centre waits for {LIMITS.query_deadline:g} s only.", "Make the catalogue faster."
            )
        if not page.datasets:
            self._place.warn(
                "search", f"There are no {whose}.", "See whether there should be any, and what makes them so."
            )
        self._leaving()

    def _leaving(self) -> None:
        """What of the first page would reach the centre."""
        lost = [(d.pid, why) for d in self._page.datasets if (why := rules.uncrossable(d))]
        if lost:
            mend = "Give it or its proposal a shorter identifier, without invisible characters."
            self._place.warn("text", f"{short(repr(lost[0][0]))} cannot be sent: {lost[0][1]}", mend)
        held = [rules.addresses(d) for d in self._page.datasets]
        if in_text := sum(text for text, _ in held):
            said = f"{in_text} of {len(held)} datasets have e-mail addresses in their text."
            self._place.warn("text", said, "They leave as [e-mail]; take them out if that is not enough.")
        if any(name for _, name in held):
            said = "A dataset or proposal is named by what looks like an e-mail address."
            self._place.warn("text", said, "Names leave as they are: name it otherwise.")
        if not lost and not any(text or name for text, name in held):
            self._place.ok("text", "No e-mail address, and nothing that cannot be sent.")

    async def _paging(self) -> None:
        """Twice at most: new data between two questions are no fault."""
        for last in (False, True):
            whole = await self._backend.search(SearchQuery(limit=PAGE), self._reader)
            pids = [d.pid for d in whole.datasets]
            query, pages = SearchQuery(limit=max(1, min(SMALL, len(pids) // 3))), list[list[str]]()
            while len(pages) < PAGES:
                page = await self._backend.search(query, self._reader)
                pages.append([d.pid for d in page.datasets])
                if not page.next:
                    break
                query = replace(query, after=page.next)
            broken = list(rules.of_pages(pids, pages, ended=not page.next))
            if last or not broken:
                break
        said = f"{len(pages)} pages of {query.limit} repeat nothing and leave nothing out."
        self._place.judge("paging", broken, said)

    async def _dataset(self) -> None:
        known = self._page.datasets[0]
        try:
            found = await self._backend.get(known.pid, self._reader)
        except NotFound:
            self._place.fail("dataset", f"{known.pid!r} is found by a search and not by its name.", FAULT)
            return
        said = {name for name in _SAME if getattr(found, name) != getattr(known, name)}
        broken = [f"{known.pid!r} by its name has another {sorted(said)[0]} than a search says."] if said else []
        self._place.judge("dataset", broken, "By its name it is what the search says.")

    async def _files(self) -> None:
        known = next((d for d in self._page.datasets if d.files > 0), self._page.datasets[0])
        page = await self._backend.files(GetFiles(known.pid, PAGE), self._reader)
        broken = list(rules.of_files(page, PAGE))
        if page.next and not broken:
            later = await self._backend.files(GetFiles(known.pid, PAGE, page.next), self._reader)
            broken = list(rules.of_files(later, PAGE))
            if {f.path for f in later.files} & {f.path for f in page.files}:
                broken.append("The next page of files repeats some.")
        if not page.files and not broken:
            mend = "See whether it has any, and whether they have relative paths."
            self._place.warn("files", f"{short(repr(known.pid))} lists no files.", mend)
            return
        said = f"{len(page.files)} of {page.total if page.total is not None else 'some'}, with relative paths and in order."
        self._place.judge("files", broken, said)

    async def _archive(self) -> None:
        """Where the data of the first page are, and whether the archive says so too when it is asked itself."""
        states, known = Counter(d.state for d in self._page.datasets), self._page.datasets[0]
        if self._shelf.archive is not None:
            told = await self._shelf.archive.restore_state(known.pid)
            if told is not known.state and ArchiveState.RESTORING not in (told, known.state):
                said = (
                    f"{short(repr(known.pid))} is {known.state} in a search, and {told} when the archive is asked."
                )
                self._place.warn("archive", said, "See whether it has just changed; else what of both is right.")
        said = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        if states[ArchiveState.UNKNOWN] and not self._shelf.mounts_unknown:
            mend = "Nobody can start from what is unknown; if all data are on disk, set [archive] mount_unknown."
            self._place.warn("archive", f"{said}.", mend)
        else:
            self._place.ok("archive", f"{said}.")

    async def _folders(self) -> None:
        """Whether what can be found can be mounted."""
        names = list(dict.fromkeys(d.proposal for d in self._page.datasets if d.proposal))[:FOLDERS]
        missing, closed = list[str](), list[str]()
        for name in names:
            try:
                places = await self._shelf.locate(name, self._reader)
            except NotFound:
                missing.append(name)
                continue
            closed += [str(p.folder) for p in places if not await asyncio.to_thread(_is_readable, p.folder)]
        if missing:
            said = f"The data of {', '.join(map(repr, missing))} are not found on this machine."
            self._place.warn("folders", said, "Nobody can start from them: see root, folder and [[places]].")
        if closed:
            mend = "Let the agent's user, or each person, read it."
            self._place.warn("folders", f"{closed[0]} cannot be read by this user.", mend)
        if names and not missing and not closed:
            self._place.ok("folders", f"Those of {', '.join(map(repr, names))} are there.")

    async def _proposals(self) -> None:
        query = ProposalQuery(limit=PAGE)
        page = await self._backend.proposals(query, self._reader)
        broken = list(rules.of_proposals(page, query, everybody=self._is_stranger))
        self._place.judge("proposals", broken, f"{len(page.proposals)} on the first page.")

    async def _unknown(self) -> None:
        """A name that nothing has, and hostile ones, are all unknown alike; cursors of nobody's are refused."""
        for pid in (f"parasol-probe-{secrets.token_hex(8)}", *rules.STRANGE):
            try:
                found = await self._backend.get(pid, self._reader)
            except NotFound:
                continue
            except ParasolError as error:
                said = (
                    f"Asked for the dataset {pid!r} it says {error.reason} instead of NOT_FOUND: {error.message}"
                )
                self._place.fail("unknown names", said, FAULT)
                return
            self._place.fail("unknown names", f"Asked for {pid!r} it gives {found.pid!r}.", FAULT)
            return
        for cursor in ("x", "W10", "5b5d"):
            try:
                await self._backend.search(SearchQuery(limit=1, after=cursor), self._reader)
            except InvalidRequest:
                continue
            self._place.fail("unknown names", f"It takes {cursor!r} for a place to go on from.", FAULT)
            return
        self._place.ok("unknown names", f"{len(rules.STRANGE) + 1} names that nothing has are NOT_FOUND.")

    async def _public(self) -> None:
        """What the agent tells anyone of the facility."""
        instruments, proposals = await self._backend.instruments(), await self._backend.open_proposals()
        said = f"{len(instruments)} instruments; {len(proposals)} proposals whose data anyone with an account may mount."
        self._place.ok("open data", said)

    async def _own(self) -> None:
        """What is the person's own belongs to them; of it what is not open is nothing to a stranger."""
        query = SearchQuery(limit=PAGE, belonging=Belonging.OWN)
        page = await self._backend.search(query, self._reader)
        if not page.datasets:
            self._place.skip("own data", "there is none.")
            return
        broken = [*rules.of_page(page, query), *rules.of_own(page, self._reader.proposals)]
        closed = [d for d in page.datasets if not d.is_open]
        try:
            for dataset in closed[:1]:
                await self._backend.get(dataset.pid, STRANGER)
                broken.append(f"{dataset.pid!r} is not open, and anyone who names it gets it.")
        except NotFound:
            pass
        said = f"{len(page.datasets)} datasets are the person's; {len(closed)} of them are no stranger's."
        self._place.judge("own data", broken, said)


_SAME = ("pid", "title", "proposal", "instrument", "started", "is_open")


def _is_readable(folder: os.PathLike[str]) -> bool:
    return os.access(folder, os.R_OK | os.X_OK)
