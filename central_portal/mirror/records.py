"""The mirror as the PaNOSC search API sees it. Identifiers are `<facility>:<pid>`: a pid is unique within its facility."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from central_portal.database import in_database
from central_portal.mirror import store
from central_portal.panosc.models import Relation, Row
from central_portal.panosc.records import Narrowing
from shared.catalogue import Dataset, Member, Proposal
from shared.errors import InvalidRequest
from shared.techniques import PURL, title

BATCH = 500
MOST = 5000
"""Most datasets on the other end of one relation."""


class MirrorRecords:
    """Implements `panosc.records.OpenRecords` for the facilities that take part now."""

    def __init__(self, slugs: Callable[[], Collection[str]]) -> None:
        self._slugs = slugs

    async def rows(self, model: str, narrowing: Narrowing) -> AsyncIterator[Sequence[Row]]:
        """See OpenRecords: facility after facility, by pid within one."""
        for slug in sorted(self._slugs()):
            if narrowing.facility not in ("", slug):
                continue
            prefix = f"{slug}:"
            wanted = [
                pid.removeprefix(prefix) for pid in narrowing.pids if pid.startswith(prefix) and store.is_text(pid)
            ]
            if narrowing.pids and not wanted:
                continue
            if model == "Instrument":
                names = await in_database(store.instruments)(slug)
                yield [_instrument(slug, name) for name in names if not wanted or name in wanted]
                continue
            async for batch in self._batches(slug, model, {"pid__in": wanted} if wanted else {}):
                yield batch

    async def _batches(self, slug: str, model: str, having: dict[str, Any]) -> AsyncIterator[list[Row]]:
        after = ""
        while True:
            found: Sequence[Dataset | Proposal]
            if model == "Dataset":
                found = await in_database(store.datasets)(slug, after, BATCH, **having)
            else:
                found = await in_database(store.proposals)(slug, after, BATCH, **having)
            if found:
                yield [_row(slug, each) for each in found]
                after = found[-1].pid
            if len(found) < BATCH:
                return

    async def related(self, relation: Relation, rows: Sequence[Row]) -> Sequence[Sequence[Row]]:
        """See OpenRecords. Files are read at their facility and are not mirrored: a dataset has none here."""
        within = _WITHIN.get((relation.source, relation.name))
        if within is not None:
            return [within(row) for row in rows]
        if (relation.source, relation.name) == ("Dataset", "documents"):
            return await _documents(rows)
        read = _READ.get((relation.source, relation.name))
        return [await read(row) if read is not None else [] for row in rows]


def _row(slug: str, found: Dataset | Proposal) -> Row:
    return _dataset(slug, found) if isinstance(found, Dataset) else _document(slug, found)


def _dataset(slug: str, d: Dataset) -> Row:
    return _said(
        pid=f"{slug}:{d.pid}", title=d.title, isPublic=True, creationDate=_date(d.started), size=d.size,
        _facility=slug, _of=d,
    )  # fmt: skip


def _document(slug: str, p: Proposal) -> Row:
    return _said(
        pid=f"{slug}:{p.pid}", isPublic=True, type=p.kind or "proposal", title=p.title or p.pid, summary=p.summary,
        doi=p.doi, startDate=_date(p.started), endDate=_date(p.ended), releaseDate=_date(p.released),
        license=p.licence, keywords=list(p.keywords), _facility=slug, _of=p,
    )  # fmt: skip


def _instrument(slug: str, name: str) -> Row:
    return {"pid": f"{slug}:{name}", "name": name, "facility": slug, "_facility": slug, "_of": name}


def _technique(slug: str, term: str) -> Row:
    address = PURL + term if title(term) else term
    return {"pid": address, "name": title(term) or term, "panetId": address, "_facility": slug, "_of": term}


def _said(**values: Any) -> Row:
    return {name: value for name, value in values.items() if value is not None and value != ""}


def _date(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _parameters(row: Row) -> list[Row]:
    return [
        {"id": f"{row['pid']}/{n}", "name": p.name, "value": p.value, "unit": p.unit, "_dataset": row}
        for n, p in enumerate(row["_of"].parameters)
    ]


def _members(row: Row) -> list[Row]:
    return [
        {"id": f"{row['pid']}/{n}", "role": m.role, "_document": row, "_member": m}
        for n, m in enumerate(row["_of"].members)
    ]


def _person(row: Row) -> list[Row]:
    who: Member = row["_member"]
    return [_said(id=row["id"], fullName=who.name, orcid=who.orcid, _member=row)]


def _affiliation(row: Row) -> list[Row]:
    who: Member = row["_member"]
    return [{"id": row["id"], "name": who.affiliation, "_member": row}] if who.affiliation else []


def _one_of(key: str) -> Callable[[Row], list[Row]]:
    return lambda row: [row[key]] if key in row else []


_WITHIN: dict[tuple[str, str], Callable[[Row], list[Row]]] = {
    ("Dataset", "instrument"): lambda row: (
        [_instrument(row["_facility"], row["_of"].instrument)] if row["_of"].instrument else []
    ),
    ("Dataset", "techniques"): lambda row: [_technique(row["_facility"], term) for term in row["_of"].techniques],
    ("Dataset", "parameters"): _parameters,
    ("Dataset", "samples"): lambda row: (
        [
            {
                "pid": f"{row['_facility']}:{row['_of'].sample}",
                "name": row["_of"].sample,
                "_facility": row["_facility"],
            }
        ]
        if row["_of"].sample
        else []
    ),
    ("Document", "members"): _members,
    ("Member", "person"): _person,
    ("Member", "affiliation"): _affiliation,
    ("Member", "document"): _one_of("_document"),
    ("Parameter", "dataset"): _one_of("_dataset"),
    ("Person", "members"): _one_of("_member"),
    ("Affiliation", "members"): _one_of("_member"),
}
"""Relations whose other end is said by the row itself."""


async def _documents(rows: Sequence[Row]) -> list[list[Row]]:
    """The document of each dataset: one question a facility."""
    wanted: dict[str, set[str]] = {}
    for row in rows:
        wanted.setdefault(row["_facility"], set()).add(row["_of"].proposal)
    found = {
        (slug, proposal.pid): _document(slug, proposal)
        for slug, names in wanted.items()
        for proposal in await in_database(store.proposals)(slug, "", len(names), pid__in=names)
    }
    mine = [found.get((row["_facility"], row["_of"].proposal)) for row in rows]
    return [[document] if document is not None else [] for document in mine]


def _datasets(lookup: str, value: Callable[[Row], str]) -> Callable[[Row], Any]:
    async def read(row: Row) -> list[Row]:
        found = await in_database(store.datasets)(row["_facility"], "", MOST + 1, **{lookup: value(row)})
        if len(found) > MOST:
            raise InvalidRequest(f"More than {MOST} datasets belong to one object; ask for Datasets instead.")
        return [_dataset(row["_facility"], dataset) for dataset in found]

    return read


_READ: dict[tuple[str, str], Callable[[Row], Any]] = {
    ("Document", "datasets"): _datasets("proposal", lambda row: row["_of"].pid),
    ("Instrument", "datasets"): _datasets("instrument", lambda row: row["_of"]),
    ("Technique", "datasets"): _datasets("terms__contains", lambda row: f"\n{row['_of']}\n"),
    ("Sample", "datasets"): _datasets("sample", lambda row: row["name"]),
}
