"""Records of a PaNOSC search API as datasets, proposals and files. Pure; models: https://github.com/panosc-eu/search-api.

A field of another kind than the model says counts as absent. Only what says `isPublic: true` is a record at all.
"""

from __future__ import annotations

import math
import os.path
import re
from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from facility_agent.adapters.catalogue import values
from facility_agent.adapters.catalogue.values import LISTED, NAME, PARAGRAPH, is_name, plain, time_of
from shared.catalogue import ArchiveState, DataFile, Dataset, Member, Parameter, Proposal
from shared.techniques import terms

Record = Mapping[str, Any]
PARAMETERS, MEMBERS = 100, 200
_DOI = re.compile(r"10\.\d{4,9}/\S+")


@dataclass(frozen=True, slots=True)
class Reading:
    """How this facility's records are read: the settings of the same names say it in full."""

    proposal_prefix: str = ""
    types: Set[str] = frozenset()

    def name(self, document: Any) -> str:
        """What datasets name as their proposal, empty for a document that is none."""
        if not isinstance(document, dict) or document.get("isPublic") is not True:
            return ""
        if self.types and document.get("type") not in self.types:
            return ""
        return self.own(document)

    def own(self, document: Record) -> str:
        """A document's name if it were a proposal, empty for one whose pid is none of this facility's or cannot be a name."""
        pid = document.get("pid")
        if not isinstance(pid, str) or not pid.startswith(self.proposal_prefix):
            return ""
        name = pid.removeprefix(self.proposal_prefix)
        return name if is_name(name) else ""


@dataclass(frozen=True, slots=True)
class Seen:
    """A public dataset: its pid in the API, what is shown, every proposal it belongs to, and the words it is found by."""

    raw: str
    dataset: Dataset
    proposals: tuple[str, ...]
    text: str


def seen(row: Record, reading: Reading) -> Seen | None:
    """A record with its relations included; None when it is not public or its pid cannot be shown.

    Of several documents that count as proposals the first is shown: one of the type "proposal" before others, then by name.
    """
    raw = values.pid_of(row)
    if raw is None or row.get("isPublic") is not True:
        return None
    documents = {name: each for each in _rows(row.get("documents")) if (name := reading.name(each))}
    names = sorted(documents, key=lambda name: (documents[name].get("type") != "proposal", name))
    said, used = _rows(row.get("samples")), row.get("instrument")
    samples = [plain(each.get("name")) or plain(each.get("description")) for each in said]
    dataset = Dataset(
        pid=values.shown_pid(raw), title=plain(row.get("title")) or plain(raw), proposal=names[0] if names else "",
        instrument=plain(used.get("name"), NAME) if isinstance(used, dict) else "",
        sample=plain(", ".join(sample for sample in samples if sample)), definition="",
        started=time_of(row.get("creationDate")), ended=None, size=values.count(row.get("size")), files=0, is_open=True,
        techniques=values.techniques([_technique(each) for each in _rows(row.get("techniques"))]),
        parameters=tuple(_parameters(_rows(row.get("parameters"), PARAMETERS))),
        doi=raw if _DOI.fullmatch(raw) else "", state=ArchiveState.UNKNOWN,
    )  # fmt: skip
    return Seen(raw, dataset, tuple(names), _text(raw, dataset, names, documents, row))


def proposal(row: Record, reading: Reading, members: tuple[Member, ...] = ()) -> Proposal | None:
    """A document that counts as a proposal. Its instruments are those of its datasets, which it does not say."""
    name = reading.name(row)
    if not name:
        return None
    doi = plain(row.get("doi")) or (row["pid"] if _DOI.fullmatch(row["pid"]) else "")
    return Proposal(
        name, plain(row.get("title")), plain(row.get("summary"), PARAGRAPH), plain(row.get("type"), NAME),
        started=time_of(row.get("startDate")), ended=time_of(row.get("endDate")), released=time_of(row.get("releaseDate")),
        doi=doi, licence=values.licence(row.get("license")), keywords=values.words(row.get("keywords")), members=members,
        is_open=True,
    )  # fmt: skip


def members(row: Record) -> tuple[Member, ...]:
    """Those who take part, of a document with its members, their persons and affiliations included."""
    found = (_member(each) for each in _rows(row.get("members"), MEMBERS))
    return tuple(member for member in found if member)


def files(rows: Collection[Record]) -> list[DataFile]:
    """A dataset's files, ascending by path; those that lead elsewhere left out.

    APIs put a folder or the whole path into `path`. Where all are absolute, what is common to their folders is the dataset's root.
    """
    paths = {_path(row): row for row in rows}
    paths.pop("", None)
    root = ""
    if paths and all(path.startswith("/") for path in paths):
        root = os.path.commonpath([os.path.dirname(path) for path in paths]).rstrip("/") + "/"  # noqa: PTH120 (text)
    below = ((values.inner_path(path.removeprefix(root)), row) for path, row in paths.items())
    found = {path: DataFile(path, values.count(row.get("size"))) for path, row in below if path}
    return [found[path] for path in sorted(found)]


def _path(row: Record) -> str:
    name, path = row.get("name"), row.get("path")
    if not isinstance(path, str) or not path:
        return name if isinstance(name, str) else ""
    if not isinstance(name, str) or path == name or path.endswith("/" + name):
        return path
    return f"{path.rstrip('/')}/{name}"


def _text(raw: str, dataset: Dataset, names: list[str], documents: Mapping[str, Record], row: Record) -> str:
    labels = [terms()[term].title for term in dataset.techniques if term in terms()]
    labels += [plain(each.get("name")) for each in _rows(row.get("techniques"))]
    titles = [plain(documents[name].get("title")) for name in names]
    about = [plain(each.get("description")) for each in _rows(row.get("samples"))]
    return " ".join([dataset.title, raw, dataset.instrument, dataset.sample, *names, *titles, *labels, *about])


def _rows(value: Any, most: int = LISTED) -> list[dict[str, Any]]:
    return [each for each in value[:most] if isinstance(each, dict)] if isinstance(value, list) else []


def _technique(row: Record) -> dict[str, Any]:
    """`panetId` is the term, and a reference's `pid` a local number; others have the term as `pid`."""
    term = row.get("panetId")
    return {"pid": term if isinstance(term, str) and term else row.get("pid")}


def _parameters(rows: list[dict[str, Any]]) -> Iterator[Parameter]:
    for row in rows:
        name, value, unit = plain(row.get("name"), NAME), row.get("value"), plain(row.get("unit"), LISTED)
        if isinstance(value, int | float) and not isinstance(value, bool):
            if name and abs(value) < 1e300 and math.isfinite(value):
                yield Parameter(name, float(value), unit)
        elif name and (said := plain(value)):
            yield Parameter(name, said, unit)


def _member(row: Record) -> Member | None:
    given = row.get("person")
    person: Record = given if isinstance(given, dict) else {}
    name = plain(person.get("fullName")) or plain(
        f"{plain(person.get('firstName'))} {plain(person.get('lastName'))}"
    )
    where = row.get("affiliation")
    home = plain(where.get("name")) if isinstance(where, dict) else ""
    return Member(name, plain(row.get("role"), NAME), home, plain(person.get("orcid"), LISTED)) if name else None
