"""What facilities report of data that were asked back from their archives."""

from __future__ import annotations

from dataclasses import dataclass

from shared.catalogue import ArchiveState


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """The facility's word on where the data of a dataset are that somebody had restored; ARCHIVED again when that failed."""

    pid: str
    state: ArchiveState
