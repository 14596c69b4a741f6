"""The site's policy held to by questions: what stays here decides nothing that anybody outside can see.

A question that asks for a field that stays here is put to the catalogue without that part, and the part is looked for in
what may be seen of each record. So hits, pages, cursors and their order are the same whatever the withheld fields say.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from facility_agent.ports.catalogue import CatalogueBackend, Location, Reader
from shared.catalogue import (
    ArchiveState,
    Dataset,
    FilePage,
    Member,
    Order,
    Parameter,
    Proposal,
    ProposalPage,
    ProposalQuery,
    SearchPage,
    SearchQuery,
)
from shared.commands import GetFiles
from shared.errors import BackendUnavailable
from shared.limits import LIMITS
from shared.techniques import narrower
from shared.wire.sieve import When

PAGES = 20
"""So many pages of the catalogue are looked through for one answer; then it ends, and the next one goes on."""
NOTE = "This facility keeps some fields to itself; they were not searched."
_NO_TEXT = frozenset({"ended", "released", "started", "size", "files", "state", "modified", "number"})
Fields = Mapping[str, Mapping[str, When]]
Record = TypeVar("Record", Dataset, Proposal)
T = TypeVar("T")


class NarrowedCatalogue(CatalogueBackend):
    """A catalogue as those outside may ask it; `fields` says by kind and field when each leaves.

    What stays here is blank in every record. A search by it finds what may be seen alone and is not complete, as its
    note says. Text is looked for here when any text stays here, since only a catalogue itself knows where it looks:
    each word must begin a word of what may be seen, newest first; by relevance nothing is sorted then.
    """

    def __init__(self, inner: CatalogueBackend, fields: Fields) -> None:
        self._inner = inner
        self._fields = {kind: dict(fields.get(kind, {})) for kind in _KINDS}
        self._hides_text = any(name not in _NO_TEXT for names in self._fields.values() for name in names)

    @property
    def detail(self) -> str:
        """What the catalogue says of itself."""
        return str(getattr(self._inner, "detail", ""))

    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        """See `CatalogueBackend.search`."""
        plain, parts = self._without_hidden(query)
        if not parts:
            page = await self._inner.search(query, reader)
            return replace(page, datasets=tuple(map(self._dataset, page.datasets)))
        if any(self._fields["dataset"].get(part.of) is When.NEVER for part in parts):
            return SearchPage(complete=False, note=NOTE)

        async def ask(after: str, limit: int) -> _Listed[Dataset]:
            page = await self._inner.search(replace(plain, after=after, limit=limit), reader)
            return _Listed([*map(self._dataset, page.datasets)], page.next, page.note)

        found = await _sought(ask, query, lambda dataset: all(part.holds(dataset) for part in parts))
        return SearchPage(tuple(found.records), found.next, complete=False, note=found.note or NOTE)

    async def get(self, pid: str, reader: Reader) -> Dataset:
        """See `CatalogueBackend.get`."""
        return self._dataset(await self._inner.get(pid, reader))

    async def proposals(self, query: ProposalQuery, reader: Reader) -> ProposalPage:
        """See `CatalogueBackend.proposals`."""
        words = query.text.split()
        if not words or not self._hides_text:
            page = await self._inner.proposals(query, reader)
            return replace(page, proposals=tuple(map(self._proposal, page.proposals)))
        holds = _words(words)

        async def ask(after: str, limit: int) -> _Listed[Proposal]:
            page = await self._inner.proposals(replace(query, text="", after=after, limit=limit), reader)
            return _Listed([*map(self._proposal, page.proposals)], page.next, page.note)

        found = await _sought(ask, query, lambda p: holds(f"{p.pid} {p.title} {p.summary}"))
        return ProposalPage(tuple(found.records), found.next, complete=False, note=found.note or NOTE)

    async def files(self, wanted: GetFiles, reader: Reader) -> FilePage:
        """See `CatalogueBackend.files`. Without their paths no files are listed: pages are ordered by them."""
        if "path" in self._fields["file"]:
            await self._inner.get(wanted.pid, reader)
            return FilePage()
        page = await self._inner.files(wanted, reader)
        hidden = self._fields["file"]
        return replace(page, files=tuple(_blanked(file, hidden) for file in page.files)) if hidden else page

    async def locate(self, proposal: str) -> Location:
        """See `CatalogueBackend.locate`; no place leaves."""
        return await self._inner.locate(proposal)

    async def instruments(self) -> tuple[str, ...]:
        """See `CatalogueBackend.instruments`."""
        never = self._fields["dataset"].get("instrument") is When.NEVER
        return () if never else await self._inner.instruments()

    async def open_proposals(self) -> Set[str]:
        """See `CatalogueBackend.open_proposals`."""
        return await self._inner.open_proposals()

    def _without_hidden(self, query: SearchQuery) -> tuple[SearchQuery, list[_Part]]:
        """The question without what asks for fields that stay here, and those parts of it."""
        hidden, parts, changes = self._fields["dataset"], list[_Part](), dict[str, Any]()
        if query.text.split() and self._hides_text:
            holds, changes["text"], changes["order"] = _words(query.text.split()), "", Order.NEWEST
            parts.append(_Part("", lambda d: holds(_text(d))))
        if query.sample.split() and "sample" in hidden:
            of_sample, changes["sample"] = _words(query.sample.split()), ""
            parts.append(_Part("sample", lambda d: of_sample(d.sample)))
        if query.instruments and "instrument" in hidden:
            changes["instruments"] = ()
            parts.append(_Part("instrument", lambda d: d.instrument in query.instruments))
        if query.proposals and "proposal" in hidden:
            changes["proposals"] = ()
            parts.append(_Part("proposal", lambda d: d.proposal in query.proposals))
        if query.techniques and "techniques" in hidden:
            asked, changes["techniques"] = frozenset[str]().union(*map(narrower, query.techniques)), ()
            parts.append(_Part("techniques", lambda d: not asked.isdisjoint(d.techniques)))
        return replace(query, **changes), parts

    def _dataset(self, dataset: Dataset) -> Dataset:
        hidden = self._fields["parameter"]
        if hidden:
            parameters = tuple(_parameter(each, hidden) for each in dataset.parameters)
            dataset = replace(dataset, parameters=parameters)
        return _blanked(dataset, _staying(self._fields["dataset"], is_open=dataset.is_open))

    def _proposal(self, proposal: Proposal) -> Proposal:
        hidden = self._fields["member"]
        if hidden:
            members: tuple[Member, ...] = tuple(_blanked(each, hidden) for each in proposal.members)
            proposal = replace(proposal, members=members)
        return _blanked(proposal, _staying(self._fields["proposal"], is_open=proposal.is_open))


_KINDS = ("dataset", "proposal", "file", "parameter", "member")


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a question: the field that it asks for, empty for text, and whether a record as it may be seen holds it."""

    of: str
    holds: Callable[[Dataset], bool]


@dataclass(frozen=True, slots=True)
class _Listed(Generic[Record]):
    records: Sequence[Record] = ()
    next: str = ""
    note: str = ""


class _Paged(Protocol):
    @property
    def limit(self) -> int: ...
    @property
    def after(self) -> str: ...


async def _sought(
    ask: Callable[[str, int], Awaitable[_Listed[Record]]], query: _Paged, wanted: Callable[[Record], bool]
) -> _Listed[Record]:
    """A page of what is wanted of a list, with the list's own cursor after the last one; at most `PAGES` of it are read."""
    found: list[Record] = []
    after, note = query.after, ""
    for _ in range(PAGES):
        page = await ask(after, LIMITS.page)
        note = note or page.note
        for index, record in enumerate(page.records, start=1):
            if wanted(record):
                found.append(record)
            if len(found) == query.limit:
                ends = index == len(page.records)
                return _Listed(found, page.next if ends else (await ask(after, index)).next, note)
        if page.next and page.next == after:
            raise BackendUnavailable("The catalogue gives the same page again and again.")
        after = page.next
        if not after:
            break
    return _Listed(found, after, note)


def _words(asked: Sequence[str]) -> Callable[[str], bool]:
    """Whether each of these begins a word of a text."""
    begins = [re.compile(r"(?<!\w)" + re.escape(word.casefold())) for word in asked]

    def holds(said: str) -> bool:
        folded = said.casefold()
        return all(each.search(folded) for each in begins)

    return holds


def _text(dataset: Dataset) -> str:
    d = dataset
    return " ".join((d.pid, d.title, d.proposal, d.instrument, d.sample, d.definition, *d.keywords))


def _staying(fields: Mapping[str, When], *, is_open: bool) -> list[str]:
    return [name for name, when in fields.items() if not (when is When.OPEN and is_open)]


def _blanked(record: T, names: Sequence[str] | Mapping[str, When]) -> T:
    """The record without these fields."""
    if not names:
        return record
    return replace(record, **{name: _blank(getattr(record, name)) for name in names})  # type: ignore[type-var]


def _blank(value: object) -> object:
    match value:
        case ArchiveState():
            return ArchiveState.UNKNOWN
        case str():
            return ""
        case tuple():
            return ()
        case int():
            return 0
    return None


def _parameter(value: Parameter, hidden: Mapping[str, When]) -> Parameter:
    kind = "text" if isinstance(value.value, str) else "number"
    names = [name for name in ("name", "unit") if name in hidden]
    return _blanked(replace(value, value="") if kind in hidden else value, names)
