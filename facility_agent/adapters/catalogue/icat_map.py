"""ICAT's rows as the portal's words. Pure. Attributes: icat.server 6.2, org.icatproject.core.entity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from facility_agent.adapters.http import unusable
from shared.catalogue import ArchiveState, DataFile, Dataset, Proposal
from shared.errors import NotFound
from shared.techniques import canonical

DATASET = ("sample", "type", "datasetInstruments.instrument", "datasetTechniques.technique",
           "investigation.investigationInstruments.instrument")  # fmt: skip
"""ICAT includes every step of a path, and refuses a path that is named twice (org.icatproject.core.parser.IncludeClause)."""
INVESTIGATION = ("type", "keywords", "investigationInstruments.instrument")
DIGITS = 12
"""A pid is the row's id in this many digits, so that pids sort as ICAT sorts ids."""
NO_DATASET = "There is no such dataset."


@dataclass(frozen=True, slots=True)
class Fields:
    """Which attributes say what at this site: `proposal` of Investigation, `instrument` of Instrument."""

    proposal: str = "name"
    instrument: str = "name"


FIELDS = Fields()


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


def dataset(row: Mapping[str, Any], is_open: bool, fields: Fields = FIELDS) -> Dataset:
    """A Dataset row with `DATASET` included."""
    inv, instruments = part(row, "investigation"), instruments_of(row, fields)
    return Dataset(
        pid=pid_of(row.get("id")), title=text(row, "name"), proposal=text(inv, fields.proposal),
        instrument=instruments[0] if instruments else "", sample=text(part(row, "sample"), "name"),
        definition=text(part(row, "type"), "name"), started=seconds(row, "startDate"), ended=seconds(row, "endDate"),
        size=_count(row, "fileSize"), files=_count(row, "fileCount"), is_open=is_open,
        techniques=tuple(techniques_of(row)), doi=_doi(row), released=seconds(inv, "releaseDate"),
        state=ArchiveState.UNKNOWN,
    )  # fmt: skip


def instruments_of(row: Mapping[str, Any], fields: Fields = FIELDS) -> list[str]:
    """The instruments of a dataset, sorted: its own, or its investigation's when it names none."""
    return _names(row, "datasetInstruments", "instrument", fields.instrument) or _names(
        part(row, "investigation"), "investigationInstruments", "instrument", fields.instrument
    )


def techniques_of(row: Mapping[str, Any]) -> list[str]:
    """The techniques of a dataset, each once, in the order in which they were linked; as `techniques.canonical` writes them."""
    links = sorted(_many(row, "datasetTechniques"), key=lambda link: _count(link, "id"))
    return list(dict.fromkeys(term for link in links if (term := term_of(part(link, "technique")))))


def term_of(row: Mapping[str, Any]) -> str:
    """A Technique row's term in canonical spelling: its pid, or its name where it has none."""
    said = text(row, "pid") or text(row, "name")
    return canonical(said) if said else ""


def proposal(row: Mapping[str, Any], is_open: bool, fields: Fields = FIELDS) -> Proposal:
    """An Investigation row with `INVESTIGATION` included."""
    return Proposal(
        pid=text(row, fields.proposal), title=text(row, "title"), summary=text(row, "summary"),
        kind=text(part(row, "type"), "name"),
        instruments=tuple(_names(row, "investigationInstruments", "instrument", fields.instrument)),
        started=seconds(row, "startDate"), ended=seconds(row, "endDate"), released=seconds(row, "releaseDate"),
        doi=_doi(row), keywords=tuple(sorted(text(each, "name") for each in _many(row, "keywords"))), is_open=is_open,
    )  # fmt: skip


def file(row: Mapping[str, Any]) -> DataFile:
    """A Datafile row with its dataset: below the dataset's folder when its location says so, else by its name."""
    location = undigested(text(row, "location"))
    folder = text(part(row, "dataset"), "location").rstrip("/")
    inside = location[len(folder) + 1 :] if folder and location.startswith(f"{folder}/") else text(row, "name")
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


def _names(row: Mapping[str, Any], relation: str, target: str, name: str) -> list[str]:
    return sorted({said for each in _many(row, relation) if (said := text(part(each, target), name))})


def text(row: Mapping[str, Any], name: str) -> str:
    """A text attribute, empty for none. Raises BackendError when it is no text."""
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
    value = text(row, "doi")
    return value[4:] if value[:4].upper() == "DOI:" else value
