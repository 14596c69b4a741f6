"""SciCat's records as datasets, proposals and files. Pure; fields are those of scicat-backend-next's v4 classes.

A field of another kind than SciCat's class says counts as absent; only a record without a usable pid is none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from typing import Any

from facility_agent.adapters.catalogue import values
from facility_agent.adapters.catalogue.values import (
    LISTED,
    NAME,
    PARAGRAPH,
    is_name,
    plain,
    shown_pid,
    texts,
    time_of,
)
from shared.catalogue import ArchiveState, DataFile, Dataset, Member, Parameter, Proposal

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fields:
    """Where this facility's SciCat says what: the settings of the same names say it in full."""

    proposal: str = "proposalIds"
    group_prefix: str = ""
    time: str = "startTime"
    sample: str = ""
    parameters: tuple[str, ...] = ()
    restoring: frozenset[str] = frozenset()

    def asked(self) -> list[str]:
        """The fields of a dataset that are read; nothing else leaves SciCat."""
        fields = {
            "pid", "datasetName", "ownerGroup", "proposalIds", "instrumentIds", "dataFormat", "startTime", "creationTime",
            "endTime", "size", "numberOfFiles", "isPublished", "techniques", "keywords", "license", "datasetlifecycle",
            "sourceFolder",
        }  # fmt: skip
        return sorted(fields | ({"scientificMetadata"} if self.sample or self.parameters else set()))

    def names(self, row: Record) -> list[str]:
        """The proposals that a dataset belongs to, in SciCat's order."""
        if self.proposal == "proposalIds":
            given = row.get("proposalIds")
            return [name for name in given if is_name(name)] if isinstance(given, list) else []
        group = row.get("ownerGroup")
        if not isinstance(group, str) or not group.startswith(self.group_prefix):
            return []
        name = group.removeprefix(self.group_prefix)
        return [name] if is_name(name) else []

    def written(self, proposals: Collection[str]) -> list[str]:
        """These proposals as SciCat's field has them; what is no name is left out."""
        prefix = self.group_prefix if self.proposal == "ownerGroup" else ""
        return sorted(prefix + name for name in proposals if is_name(name))


def is_visible(row: Record, proposals: Set[str], fields: Fields, *, is_own: bool = False) -> bool:
    """Whether a dataset is open or belongs to one of these proposals; with `is_own` only the latter counts."""
    is_open = row.get("isPublished") is True and not is_own
    return is_open or not proposals.isdisjoint(fields.names(row))


def dataset(
    row: Record, proposals: Set[str], instruments: Mapping[str, str], fields: Fields, now: float
) -> Dataset:
    """A visible record, whose pid is usable, as somebody with these proposals sees it.

    Of several proposals the reader's own is named first, and of an open dataset else the first.
    """
    names = fields.names(row)
    metadata = row.get("scientificMetadata")
    measured: Record = metadata if isinstance(metadata, dict) else {}
    pid, kind = str(row["pid"]), plain(row.get("dataFormat"), NAME)
    used, cycle = texts(row.get("instrumentIds")), row.get("datasetlifecycle")
    return Dataset(
        pid=shown_pid(pid), title=plain(row.get("datasetName")) or plain(pid),
        proposal=next((name for name in names if name in proposals), names[0] if names else ""),
        instrument=plain(instruments.get(used[0], used[0]), NAME) if used else "",
        sample=plain(_valued(measured.get(fields.sample))[0]) if fields.sample else "",
        definition=kind if kind.startswith("NX") else "",
        started=time_of(row.get(fields.time)), ended=time_of(row.get("endTime")),
        size=values.count(row.get("size")), files=values.count(row.get("numberOfFiles")), is_open=row.get("isPublished") is True,
        techniques=values.techniques(row.get("techniques")), keywords=values.words(row.get("keywords")),
        parameters=_parameters(measured, fields.parameters),
        licence=values.licence(row.get("license")),
        released=_released(cycle), state=state(cycle, fields.restoring, now),
    )  # fmt: skip


def state(cycle: Any, restoring: Set[str], now: float) -> ArchiveState:
    """Where the data are, by a dataset's `datasetlifecycle`; what it leaves open is UNKNOWN.

    `retrievable` says that a copy is on tape, not that there is none on disk.
    """
    if not isinstance(cycle, dict) or not isinstance(cycle.get("isOnCentralDisk"), bool):
        return ArchiveState.UNKNOWN
    purged = time_of(cycle.get("dateOfDiskPurging"))
    if cycle["isOnCentralDisk"] and (purged is None or purged > now):
        return ArchiveState.ONLINE
    if cycle.get("retrieveStatusMessage") in restoring:
        return ArchiveState.RESTORING
    return ArchiveState.ARCHIVED if cycle.get("retrievable") is True else ArchiveState.UNKNOWN


def proposal(row: Record, instruments: Mapping[str, str]) -> Proposal:
    """A proposal's record, whose `proposalId` is a name. Its investigator is named when it is open; no e-mail ever."""
    is_open = row.get("isPublished") is True
    who = plain(f"{plain(row.get('pi_firstname'))} {plain(row.get('pi_lastname'))}")
    names = (instruments.get(pid, pid) for pid in texts(row.get("instrumentIds")))
    return Proposal(
        row["proposalId"], plain(row.get("title")), plain(row.get("abstract"), PARAGRAPH), plain(row.get("type"), NAME),
        tuple(sorted({name for name in (plain(each, NAME) for each in names) if name}))[:LISTED],
        time_of(row.get("startTime")), time_of(row.get("endTime")),
        members=(Member(who, "principal investigator"),) if is_open and who else (), is_open=is_open,
    )  # fmt: skip


def file_of(entry: Any, root: str) -> DataFile | None:
    """An entry of a `dataFileList`, its path relative to the dataset's root; None for one that leads elsewhere."""
    path = entry.get("path") if isinstance(entry, dict) else None
    if not isinstance(path, str):
        return None
    if below := root.rstrip("/"):
        path = path.removeprefix(below + "/")
    inner = values.inner_path(path)
    return DataFile(inner, values.count(entry.get("size")), time_of(entry.get("time"))) if inner else None


def files(blocks: Collection[Record], root: str) -> dict[str, DataFile]:
    """The files of `origdatablocks` by path, those that lead elsewhere left out."""
    lists = (block.get("dataFileList") for block in blocks)
    entries = (entry for each in lists if isinstance(each, list) for entry in each)
    return {file.path: file for entry in entries if (file := file_of(entry, root))}


def _valued(value: Any) -> tuple[Any, Any]:
    """(value, unit) of an entry of `scientificMetadata`: `{value, unit}`, or the bare value."""
    return (value.get("value"), value.get("unit")) if isinstance(value, dict) else (value, "")


def _parameters(measured: Record, wanted: tuple[str, ...]) -> tuple[Parameter, ...]:
    found = []
    for name in wanted:
        value, unit = _valued(measured.get(name))
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.append(Parameter(name, float(value), plain(unit, 50)))
        elif said := plain(value):
            found.append(Parameter(name, said, plain(unit, 50)))
    return tuple(found)


def _released(cycle: Any) -> float | None:
    if not isinstance(cycle, dict):
        return None
    published = time_of(cycle.get("publishedOn"))
    return published if published is not None else time_of(cycle.get("dateOfPublishing"))


def instruments(rows: Collection[Record]) -> dict[str, str]:
    """The names of instruments by pid."""
    return {
        row["pid"]: plain(row.get("name"), NAME) or row["pid"] for row in rows if isinstance(row.get("pid"), str)
    }
