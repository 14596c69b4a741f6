"""SciCat's records as datasets, proposals and files. Pure; fields are those of scicat-backend-next's v4 classes.

A field of another kind than SciCat's class says counts as absent; only a record without a usable pid is none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from shared.catalogue import ArchiveState, DataFile, Dataset, Member, Parameter, Proposal
from shared.errors import InvalidRequest
from shared.techniques import canonical

Record = Mapping[str, Any]
LISTED = 50
PID, NAME, TITLE, PARAGRAPH, MOST = 512, 100, 300, 5000, 300
LARGEST = 2**63 - 1
_WINDOWS = re.compile(r"\\|[A-Za-z]:[\\/]")
_SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")


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


def is_name(value: Any) -> bool:
    """Whether a value can name a proposal: 1 to 100 visible characters, no space around them; in UTF-8 at most 300."""
    good = isinstance(value, str) and 1 <= len(value) <= NAME and value.isprintable() and value == value.strip()
    return good and len(value.encode()) <= MOST


def shown_pid(pid: str) -> str:
    """SciCat's pid as Parasol's: `/` is written %2F and `%` is written %25, since no pid of Parasol's has a slash."""
    return pid.replace("%", "%25").replace("/", "%2F")


def raw_pid(pid: str) -> str | None:
    """What `shown_pid` was given, None for what it does not write."""
    raw = unquote(pid) if pid.isprintable() and len(pid) <= PID else ""
    return raw if raw and raw.isprintable() and shown_pid(raw) == pid else None


def pid_of(row: Record) -> str | None:
    """SciCat's pid of a record, None when it cannot be shown."""
    pid = row.get("pid")
    if not isinstance(pid, str) or not pid.isprintable() or pid != pid.strip():
        return None
    return pid if pid and len(pid.encode()) <= MOST and len(shown_pid(pid)) <= PID else None


def milliseconds(value: Any) -> int | None:
    """A time as SciCat's JSON has it (ISO 8601) in POSIX milliseconds, None for none."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def time_of(value: Any) -> float | None:
    """The same in seconds."""
    ms = milliseconds(value)
    return None if ms is None else ms / 1000


def is_visible(row: Record, proposals: Set[str], fields: Fields) -> bool:
    """Whether a dataset is open or belongs to one of these proposals."""
    return row.get("isPublished") is True or not proposals.isdisjoint(fields.names(row))


def dataset(
    row: Record, proposals: Set[str], instruments: Mapping[str, str], fields: Fields, now: float
) -> Dataset:
    """A visible record, whose pid is usable, as somebody with these proposals sees it.

    Of several proposals the reader's own is named first, and of an open dataset else the first.
    """
    names = fields.names(row)
    metadata = row.get("scientificMetadata")
    measured: Record = metadata if isinstance(metadata, dict) else {}
    pid, kind, licence = str(row["pid"]), plain(row.get("dataFormat"), NAME), row.get("license")
    used, cycle = _texts(row.get("instrumentIds")), row.get("datasetlifecycle")
    return Dataset(
        pid=shown_pid(pid), title=plain(row.get("datasetName")) or plain(pid),
        proposal=next((name for name in names if name in proposals), names[0] if names else ""),
        instrument=plain(instruments.get(used[0], used[0]), NAME) if used else "",
        sample=plain(_valued(measured.get(fields.sample))[0]) if fields.sample else "",
        definition=kind if kind.startswith("NX") else "",
        started=time_of(row.get(fields.time)), ended=time_of(row.get("endTime")),
        size=_count(row.get("size")), files=_count(row.get("numberOfFiles")), is_open=row.get("isPublished") is True,
        techniques=_techniques(row.get("techniques")), keywords=_words(row.get("keywords")),
        parameters=_parameters(measured, fields.parameters),
        licence=licence if isinstance(licence, str) and _SPDX.fullmatch(licence) else "",
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
    names = (instruments.get(pid, pid) for pid in _texts(row.get("instrumentIds")))
    return Proposal(
        row["proposalId"], plain(row.get("title")), plain(row.get("abstract"), PARAGRAPH), plain(row.get("type"), NAME),
        tuple(sorted({name for name in (plain(each, NAME) for each in names) if name}))[:LISTED],
        time_of(row.get("startTime")), time_of(row.get("endTime")),
        members=(Member(who, "principal investigator"),) if is_open and who else (), is_open=is_open,
    )  # fmt: skip


def file_of(entry: Any, root: str) -> DataFile | None:
    """An entry of a `dataFileList`, its path relative to the dataset's root; None for one that leads elsewhere."""
    path = entry.get("path") if isinstance(entry, dict) else None
    if not isinstance(path, str) or not path.isprintable():
        return None
    if below := root.rstrip("/"):
        path = path.removeprefix(below + "/")
    if len(path) > 4096 or _WINDOWS.match(path) or {"", ".", ".."} & set(path.split("/")):
        return None
    return DataFile(path, _count(entry.get("size")), time_of(entry.get("time")))


def files(blocks: Collection[Record], root: str) -> dict[str, DataFile]:
    """The files of `origdatablocks` by path, those that lead elsewhere left out."""
    lists = (block.get("dataFileList") for block in blocks)
    entries = (entry for each in lists if isinstance(each, list) for entry in each)
    return {file.path: file for entry in entries if (file := file_of(entry, root))}


def plain(value: Any, most: int = TITLE) -> str:
    """One line of visible text, empty for what is none."""
    if not isinstance(value, str):
        return ""
    shown = "".join(" " if c.isspace() else c for c in value[: 4 * most] if c.isspace() or c.isprintable())
    return " ".join(shown.split())[:most].rstrip()


def _count(value: Any) -> int:
    """A whole number that is not negative; JavaScript's are floats beyond 2^53."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
    return min(int(value), LARGEST) if good else 0


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _techniques(value: Any) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for each in value[:LISTED] if isinstance(value, list) else ():
        pid = each.get("pid") if isinstance(each, dict) else None
        if isinstance(pid, str):
            try:
                found[canonical(pid)] = None
            except InvalidRequest:
                continue
    return tuple(found)


def _words(value: Any) -> tuple[str, ...]:
    words = (plain(word, NAME) for word in value[:LISTED]) if isinstance(value, list) else ()
    return tuple(word for word in words if word)


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
