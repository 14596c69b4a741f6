"""Catalogue over SciCat (scicat-backend-next, API v4)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Set
from functools import partial
from itertools import pairwise
from operator import attrgetter
from typing import Any

from facility_agent.adapters.catalogue import scicat_questions as questions
from facility_agent.adapters.catalogue import scicat_records as records
from facility_agent.adapters.catalogue import values
from facility_agent.adapters.catalogue.folders import Folders
from facility_agent.adapters.catalogue.remembered import Remembered
from facility_agent.adapters.catalogue.scicat_client import NAME, Client
from facility_agent.adapters.catalogue.scicat_paging import Order, Row, first, in_order
from facility_agent.adapters.catalogue.scicat_questions import Range, Where
from facility_agent.adapters.catalogue.scicat_records import Record
from facility_agent.adapters.catalogue.scicat_settings import ScicatSettings, faults
from facility_agent.adapters.catalogue.skipping import whole
from facility_agent.adapters.http import Bounds, Upstream, listed, unusable
from facility_agent.adapters.site_settings import secret
from facility_agent.plugins import Fault, Site
from facility_agent.ports.catalogue import CatalogueBackend, Location, Reader
from shared import cursors
from shared.catalogue import (
    DataFile,
    Dataset,
    FilePage,
    ProposalPage,
    ProposalQuery,
    SearchPage,
    SearchQuery,
    sort_key,
)
from shared.commands import GetFiles
from shared.errors import InvalidRequest, NotFound, Unsupported
from shared.limits import LIMITS

log = logging.getLogger(__name__)
NO_DATASET = "There is no such dataset."
TOO_MANY = "This dataset has too many files to be listed here."
FILES, BLOCKS, STEPS, FACETS, INSTRUMENTS = 100_000, 5, 200, 100_000, 5000


class Scicat(CatalogueBackend):
    """What is public is read in nobody's name; a person's proposals in the functional account's, each record judged again."""

    def __init__(
        self, settings: ScicatSettings, client: Client, folders: Folders, faults: Callable[[], Iterator[Fault]]
    ):
        self._settings, self._client, self._folders, self.faults = settings, client, folders, faults
        self._fields, self._hides = settings.fields(), False
        self._names = Remembered(self._read_names, settings.remember_s)
        self._open = Remembered(self._read_open, settings.remember_s)

    async def __aenter__(self) -> Scicat:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    @property
    def detail(self) -> str:
        """For people: what this catalogue is, and whether it has records that no answer can name."""
        return "Live search of SciCat." + (" Some records' names cannot be shown." if self._hides else "")

    def _hide(self, name: object) -> None:
        if not self._hides:
            log.warning("SciCat has records whose name cannot be shown; they are left out, such as %.200r", name)
        self._hides = True

    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        """One page of what is open or the reader's."""
        after, seen = questions.position(query.after) if query.after else (None, None)
        span = Range(after, query.since, query.until)
        names = await self._names.value()
        wanted = questions.where(query, reader.proposals, names, self._fields)

        def is_good(record: Record) -> bool:
            if not records.is_visible(record, reader.proposals, self._fields):
                return False
            if values.pid_of(record) is None:
                self._hide(record["pid"])
                return False
            return True

        found = await first(self._order(wanted, span, reader), span, seen, query.limit + 1, is_good)
        page, now = found[: query.limit], time.time()
        seen_by = (records.dataset(f.record, reader.proposals, names, self._fields, now) for f in page)
        last = page[-1] if len(found) > query.limit else None
        after_it = cursors.write(last.place.later, last.place.pid, last.seen) if last else ""
        return SearchPage(tuple(sorted(seen_by, key=sort_key)), after_it)

    def _order(self, wanted: Where, span: Range, reader: Reader) -> Order:
        async def some(skip: int, limit: int) -> list[Row]:
            return await self._datasets(wanted, skip, limit, reader)

        async def before() -> int:
            earlier = span.before(wanted, self._fields.time)
            if earlier is None:
                return 0
            said = await self._asked(reader)(
                f"/api/v4/datasets{_way(reader)}/count", {"filter": {"where": earlier}}
            )
            count = said.get("count") if isinstance(said, dict) else None
            if not isinstance(count, int) or count < 0:
                raise unusable(NAME, "has no count of datasets")
            return count

        return Order(some, before)

    async def _datasets(self, wanted: Where, skip: int, limit: int, reader: Reader) -> list[Row]:
        sort = {self._fields.time: "desc", "pid": "asc"}
        asked = {
            "where": wanted,
            "fields": self._fields.asked(),
            "limits": {"skip": skip, "limit": limit, "sort": sort},
        }
        found = listed(
            NAME, await self._asked(reader)(f"/api/v4/datasets{_way(reader)}", {"filter": asked}), limit
        )
        if not all(isinstance(row.get("pid"), str) for row in found):
            raise unusable(NAME, "has datasets without a pid")
        return list(in_order([(questions.place(row, self._fields), row) for row in found]))

    def _asked(self, reader: Reader) -> Callable[..., Any]:
        return self._client.all if reader.proposals else self._client.public

    async def get(self, pid: str, reader: Reader) -> Dataset:
        """One dataset."""
        row = await self._row(pid, reader)
        return records.dataset(row, reader.proposals, await self._names.value(), self._fields, time.time())

    async def _row(self, pid: str, reader: Reader) -> Record:
        raw = values.raw_pid(pid)
        if raw is None:
            raise NotFound(NO_DATASET)
        # Only the record is judged: the reader's proposals may be more than a request's line can hold.
        for _, row in await self._datasets({"pid": raw}, 0, 1, reader):
            if row["pid"] == raw and records.is_visible(row, reader.proposals, self._fields):
                return row
        raise NotFound(NO_DATASET)

    async def proposals(self, query: ProposalQuery, reader: Reader) -> ProposalPage:
        """One page of published proposals and the reader's."""
        after = cursors.read(query.after, str)[0] if query.after else ""
        parts: list[Where] = [{"isPublished": True}]
        own = sorted(filter(values.is_name, reader.proposals))
        if own:
            parts = [{"$or": [*parts, {"proposalId": {"$in": own}}]}]
        if query.proposals:
            parts.append({"proposalId": {"$in": sorted(filter(values.is_name, query.proposals))}})
        parts += questions.proposal_words(query.text)
        names = await self._names.value()
        found = await self._proposals(parts, after, query.limit + 1, frozenset(own))
        page = tuple(records.proposal(row, names) for row in found[: query.limit])
        return ProposalPage(page, cursors.write(page[-1].pid) if len(found) > query.limit else "")

    async def _proposals(self, parts: list[Where], after: str, most: int, own: Set[str]) -> list[Record]:
        """The first `most` proposals after a pid that may be shown. Asked in nobody's name when none is one's own."""
        good: list[Record] = []
        for _ in range(STEPS):
            begin: list[Where] = [{"proposalId": {"$gt": after}}] if after else []
            limits = {"limit": most, "skip": 0, "sort": {"proposalId": "asc"}}
            asked, path = {"filters": {"where": {"$and": parts + begin}, "limits": limits}}, "/api/v3/proposals"
            said = await (self._client.all(path, asked, silent=True) if own else self._client.public(path, asked))
            found = listed(NAME, said, most)
            pids = [after, *(str(row.get("proposalId")) for row in found)]
            if any(one >= another for one, another in pairwise(pids)):
                raise unusable(NAME, "is not in the order that was asked for")
            for row in found:
                if not values.is_name(row.get("proposalId")):
                    self._hide(row.get("proposalId"))
                elif row.get("isPublished") is True or row["proposalId"] in own:
                    good.append(row)
            if len(found) < most or len(good) >= most:
                return good[:most]
            after = pids[-1]
        raise unusable(NAME, "has too many proposals in a row that cannot be used")

    async def files(self, wanted: GetFiles, reader: Reader) -> FilePage:
        """One page of a dataset's files."""
        if not 1 <= wanted.limit <= LIMITS.page:
            raise InvalidRequest(f"A page holds 1 to {LIMITS.page} files.")
        begin = self._begin(wanted.after) if wanted.after else 0
        row = await self._row(wanted.pid, reader)
        is_own = not reader.proposals.isdisjoint(self._fields.names(row))
        files = await self._files_of(row, reader if is_own else Reader())
        page = files[begin : begin + wanted.limit]
        end = begin + len(page)
        return FilePage(tuple(page), cursors.write("files", end) if end < len(files) else "", len(files))

    @staticmethod
    def _begin(after: str) -> int:
        kind, begin = cursors.read(after, str, int)
        if kind != "files" or not 0 < begin <= FILES:
            raise InvalidRequest(cursors.FOREIGN)
        return int(begin)

    async def _files_of(self, row: Record, reader: Reader) -> list[DataFile]:
        """All of a dataset's files, ascending by path. SciCat keeps them in blocks, in no order."""
        root, found = row.get("sourceFolder"), dict[str, DataFile]()
        if isinstance(row.get("numberOfFiles"), int | float) and row["numberOfFiles"] > FILES:
            raise Unsupported(TOO_MANY)
        for step in range(STEPS):
            limits = {"skip": step * BLOCKS, "limit": BLOCKS, "sort": {"_id": "asc"}}
            fields = ["_id", "datasetId", "dataFileList"]
            asked = {"where": {"datasetId": row["pid"]}, "fields": fields, "limits": limits}
            said = await self._asked(reader)(f"/api/v4/origdatablocks{_way(reader)}", {"filter": asked})
            blocks = [block for block in listed(NAME, said, BLOCKS) if block.get("datasetId") == row["pid"]]
            found.update(await asyncio.to_thread(records.files, blocks, root if isinstance(root, str) else ""))
            if len(found) > FILES:
                break
            if len(said) < BLOCKS:
                return await asyncio.to_thread(sorted, found.values(), key=attrgetter("path"))
        raise Unsupported(TOO_MANY)

    async def locate(self, proposal: str) -> Location:
        """The folder that the settings' template says."""
        return await self._folders.locate(proposal)

    async def instruments(self) -> tuple[str, ...]:
        """Instruments of public datasets."""
        names = await self._names.value()
        used = await self._facet(
            "instrumentIds", self._client.public("/api/v4/datasets/public/fullfacet", _facets("instrumentIds"))
        )
        return tuple(sorted({values.plain(names.get(pid, pid), values.NAME) for pid in used} - {""}))

    async def open_proposals(self) -> Set[str]:
        """Proposals all of whose datasets are public."""
        return await self._open.value()

    async def _read_open(self) -> frozenset[str]:
        """By counting twice. What is public comes first: a dataset that comes meanwhile makes a proposal look closed."""
        field, query = self._fields.proposal, _facets(self._fields.proposal)
        public = await self._facet(field, self._client.public("/api/v4/datasets/public/fullfacet", query))
        whole = await self._facet(field, self._client.all("/api/v4/datasets/fullfacet", query, silent=True))
        same = [said for said, count in public.items() if count and whole.get(said) == count]
        return frozenset(
            name
            for said in same
            for name in self._fields.names({field: [said] if field == "proposalIds" else said})
        )

    @staticmethod
    async def _facet(field: str, asking: Any) -> dict[str, int]:
        said = await asking
        facets = said[0].get(field) if isinstance(said, list) and said and isinstance(said[0], dict) else None
        counts: dict[str, int] = {}
        for each in listed(NAME, facets, FACETS):
            if not isinstance(each.get("count"), int):
                raise unusable(NAME, f"has no counts of {field}")
            if isinstance(each.get("_id"), str):
                counts[each["_id"]] = each["count"]
        return counts

    async def _read_names(self) -> Mapping[str, str]:
        """The name of every instrument by its pid; anyone may know them."""

        async def ask(skip: int, limit: int) -> list[dict[str, Any]]:
            asked = {"limits": {"limit": limit, "skip": skip, "sort": {"pid": "asc"}}}
            return listed(NAME, await self._client.public("/api/v3/instruments", {"filter": asked}), limit)

        return records.instruments(await whole(ask, lambda row: str(row.get("pid")), 100, INSTRUMENTS, NAME))


def _way(reader: Reader) -> str:
    return "" if reader.proposals else "/public"


def _facets(field: str) -> dict[str, Any]:
    return {"facets": [field], "fields": {}}


class ScicatPlugin:
    """The adapter `scicat`."""

    settings = ScicatSettings

    @staticmethod
    def build(settings: ScicatSettings, site: Site) -> Scicat:
        """The adapter; it asks nothing before it is asked."""
        from facility_agent.adapters.catalogue.scicat_restoring import RestorableScicat

        at = site.config_folder
        upstream = Upstream(
            settings.url, NAME, Bounds(settings.timeout_s, settings.answer_bytes),
            ca_file=at / settings.ca_file if settings.ca_file else None,
        )  # fmt: skip
        password, reading = partial(secret, at / settings.password_file), frozenset(settings.reading_groups)
        client = Client(upstream, settings.username, password, reading)
        folders = Folders(at / settings.root if settings.root else None, settings.folder)
        kind = RestorableScicat if settings.retrieve_job else Scicat
        return kind(settings, client, folders, partial(faults, settings, at))
