"""Datasets that are on their way back from the archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RestoreRow:
    """A dataset that is being restored: whose account asked first, and when, in POSIX seconds of this machine."""

    pid: str
    immutable_id: str
    asked_at: float


class RestoreRows(Protocol):
    """Datasets that are watched."""

    def put_restore(self, row: RestoreRow) -> None:
        """Watch a dataset; one that is watched already stays as it is."""
        ...

    def drop_restore(self, pid: str) -> None:
        """Watch it no more; no error when it is not watched."""
        ...

    def restores(self) -> Sequence[RestoreRow]:
        """All that are watched, oldest first."""
        ...
