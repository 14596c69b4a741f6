"""One record of the log, found on the disk by halves: what the files hold now, whatever the agent remembers."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from facility_agent.egress.chain import Broken, follows, previous_of
from facility_agent.egress.files import first_of, log_files
from facility_agent.ports.egress import Head


def hash_of(folder: Path, sequence: int) -> str:
    """The hash of this record, empty when the files hold no whole record of this number. Raises OSError.

    Of the record before the oldest file that file knows it: earlier ones may have been archived.
    """
    if sequence < 1:
        return ""
    try:
        files = log_files(folder)
        within = [path for path in files if first_of(path) <= sequence]
        if within:
            with within[-1].open("rb") as file:
                return _found(file, sequence)
        if files and first_of(files[0]) == sequence + 1:
            with files[0].open("rb") as file:
                line = file.readline()
            before = previous_of(line)
            follows(line, before)
            return Head.parse(str(before)).hash
    except (Broken, ValueError):  # whatever stands there, it is not the record
        pass
    return ""


def _found(file: BinaryIO, sequence: int) -> str:
    """By halves over the bytes: lines begin at `low` and end before `high`. Raises Broken."""
    low, high = 0, file.seek(0, 2)
    while low < high:
        middle = (low + high) // 2
        begin = low
        if middle > low:
            file.seek(middle - 1)
            begin = middle - 1 + len(file.readline())
        if begin >= high:
            high = middle
            continue
        file.seek(begin)
        line = file.readline()
        before = previous_of(line)
        if before.sequence + 1 == sequence:
            return follows(line, before).hash
        if before.sequence + 1 < sequence:
            low = begin + len(line)
        else:
            high = middle
    return ""
