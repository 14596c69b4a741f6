"""ICAT's rows as the portal's words. Pure. Attributes: icat.server 6.2, org.icatproject.core.entity."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from facility_agent.adapters.http import unusable
from shared.catalogue import ArchiveState, DataFile, Dataset, Proposal
from shared.errors import NotFound
from shared.techniques import canonical

DATASET = ("investigation", "sample", "type", "datasetInstruments.instrument", "datasetTechniques.technique",
           "investigation.investigationInstruments.instrument")  # fmt: skip
INVESTIGATION = ("type", "keywords", "investigationInstruments.instrument")
DIGITS = 12
"""A pid is the row's id in this many digits, so that pids sort as ICAT sorts ids."""
NO_DATASET = "There is no such dataset."


def pid_of(number: object) -> str:
    """The pid of the dataset with this id. Raises BackendError for what is no id."""
    if type(number) is not int or not 0 <= number < 10**DIGITS:
        raise unusable("catalogue", f"has the id {number!r}")
    return f"{number:0{DIGITS}d}"


def id_of(pid: str) -> int:
    """The id behind a pid. Raises NotFound when it is none of this catalogue's."""
    if len(pid) != DIGITS or not (pid.isascii() and pid.isdigit()):
        raise NotFound(NO_DATASET)
    return int(pid)


def seconds(row: Mapping[str, Any], name: str) -> float | None:
    """A date attribute as POSIX seconds. Raises BackendError when it is none."""
    value = row.get(name)
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value).timestamp()
    except (TypeError, ValueError, OverflowError) as error:
        raise unusable("catalogue", f"has the date {value!r}") from error


def dataset(row: Mapping[str, Any], is_open: bool) -> Dataset:
    """A Dataset row with `DATASET` included. Where it names no instrument of its own, its investigation's is said."""
    inv = part(row, "investigation")
    own = _names(row, "datasetInstruments", "instrument") or _names(inv, "investigationInstruments", "instrument")
    techniques = {
        canonical(_text(t, "pid") or _text(t, "name"))
        for t in (part(each, "technique") for each in _many(row, "datasetTechniques"))
        if t
    }
    return Dataset(
        pid=pid_of(row.get("id")), title=_text(row, "name"), proposal=_text(inv, "name"),
        instrument=own[0] if own else "", sample=_text(part(row, "sample"), "name"),
        definition=_text(part(row, "type"), "name"), started=seconds(row, "startDate"), ended=seconds(row, "endDate"),
        size=_count(row, "fileSize"), files=_count(row, "fileCount"), is_open=is_open,
        techniques=tuple(sorted(techniques)), doi=_doi(row), released=seconds(inv, "releaseDate"),
        state=ArchiveState.UNKNOWN,
    )  # fmt: skip


def proposal(row: Mapping[str, Any], is_open: bool) -> Proposal:
    """An Investigation row with `INVESTIGATION` included."""
    return Proposal(
        pid=_text(row, "name"), title=_text(row, "title"), summary=_text(row, "summary"),
        kind=_text(part(row, "type"), "name"), instruments=tuple(_names(row, "investigationInstruments", "instrument")),
        started=seconds(row, "startDate"), ended=seconds(row, "endDate"), released=seconds(row, "releaseDate"),
        doi=_doi(row), keywords=tuple(sorted(_text(each, "name") for each in _many(row, "keywords"))), is_open=is_open,
    )  # fmt: skip


def file(row: Mapping[str, Any]) -> DataFile:
    """A Datafile row with its dataset: below the dataset's folder when its location says so, else by its name."""
    location = undigested(_text(row, "location"))
    folder = _text(part(row, "dataset"), "location").rstrip("/")
    inside = location[len(folder) + 1 :] if folder and location.startswith(f"{folder}/") else _text(row, "name")
    parts = [each for each in PurePosixPath(inside).parts if each != "/"]
    if not parts or ".." in parts:
        raise unusable("catalogue", f"has the file {inside!r}")
    return DataFile("/".join(parts), _count(row, "fileSize"), seconds(row, "datafileModTime"))


def undigested(location: str) -> str:
    """A location without the digest that an IDS with a key appends after a space (IdsBean.getLocationFromDigest)."""
    path, space, digest = location.rpartition(" ")
    return path if space and len(digest) >= 20 and digest.isascii() and "/" not in digest else location


def part(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What a relation leads to, empty for nothing. Raises BackendError when it is no object."""
    value = row.get(name, {})
    if not isinstance(value, dict):
        raise unusable("catalogue", f"has no object as {name}")
    return value


def _many(row: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = row.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise unusable("catalogue", f"has no list as {name}")
    return value


def _names(row: Mapping[str, Any], relation: str, target: str) -> list[str]:
    return sorted({name for each in _many(row, relation) if (name := _text(part(each, target), "name"))})


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name, "")
    if not isinstance(value, str):
        raise unusable("catalogue", f"has no text as {name}")
    return value


def _count(row: Mapping[str, Any], name: str) -> int:
    value = row.get(name, 0)
    if type(value) is not int or value < 0:
        raise unusable("catalogue", f"has {value!r} as {name}")
    return value


def _doi(row: Mapping[str, Any]) -> str:
    value = _text(row, "doi")
    return value[4:] if value[:4].upper() == "DOI:" else value
