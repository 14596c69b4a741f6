"""The log as it is read: record by record, and whether it is whole. Nothing is written, so the agent may run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facility_agent.egress.chain import Broken, follows
from facility_agent.egress.files import first_of, log_files, read_head
from facility_agent.ports.egress import Head


@dataclass(frozen=True, slots=True)
class Verdict:
    """`head` is that of the last good record, `first` the first one's sequence. `problem` is empty for a whole log."""

    head: Head
    first: int
    problem: str = ""


def records(folder: Path) -> Iterator[dict[str, Any]]:
    """Every line that is a JSON object, in order; whether it is a good record, `verify` says."""
    for path in log_files(folder):
        with path.open("rb") as file:
            for line in file:
                try:
                    record = json.loads(line)
                except ValueError:
                    continue
                if isinstance(record, dict):
                    yield record


def verify(folder: Path, head_file: Path, given: Head | None = None, begin: Head | None = None) -> Verdict:
    """Whether each record follows the one before it, and the heads are those of its records.

    The head that the agent keeps is looked at, and the `given` one, which may be older. `begin` is the last record of
    files that lie elsewhere; without it the log begins with record 1. Bytes after the last record are a problem too:
    of a running agent they are gone a moment later.
    """
    head = begin or Head()
    first = head.sequence + 1
    try:
        kept = read_head(head_file)
        wanted = {each for each in (kept, given) if each is not None and each != head}
        for path, line in _lines(folder):
            if line is None:
                if first_of(path) != head.sequence + 1:
                    raise Broken(f"record {head.sequence + 1} is not there: {path.name} does not begin with it")
                continue
            head = follows(line, head)
            wanted.discard(head)
        if kept is None and head.sequence:
            raise Broken(f"{head_file.name} is gone")
        for each in sorted(wanted, key=lambda each: each.sequence):
            raise Broken(_missing(each, head))
    except Broken as error:
        return Verdict(head, first, str(error))
    return Verdict(head, first)


def _lines(folder: Path) -> Iterator[tuple[Path, bytes | None]]:
    """Each file, first with None, then with its lines."""
    for path in log_files(folder):
        yield path, None
        with path.open("rb") as file:
            for line in file:
                yield path, line


def _missing(wanted: Head, last: Head) -> str:
    if wanted.sequence > last.sequence:
        return f"records {last.sequence + 1} to {wanted.sequence} are not there: its end was cut off"
    return f"record {wanted.sequence} is not the one that was written: its hash is not {wanted.hash}"
