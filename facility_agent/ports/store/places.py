"""Where people have said that data of datasets lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class EnteredRow:
    """What one account entered for one dataset: a folder, resolved when it was entered. It never leaves the site.

    `missed_at` is since when it was not found allowed, None while it is. Times are POSIX seconds of this machine.
    """

    immutable_id: str
    pid: str
    folder: str
    entered_at: float
    missed_at: float | None = None


class EnteredRows(Protocol):
    """Entered places."""

    def put_entered(self, row: EnteredRow) -> None:
        """Store or replace an account's for a dataset."""
        ...

    def entered(self, immutable_id: str, pid: str) -> EnteredRow | None:
        """An account's for a dataset."""
        ...

    def all_entered(self, immutable_id: str) -> Sequence[EnteredRow]:
        """An account's, newest first."""
        ...

    def drop_entered(self, immutable_id: str, pid: str = "") -> None:
        """Forget an account's for a dataset, all of them without one; no error when there is none."""
        ...
