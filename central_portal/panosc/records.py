"""Where the API's objects come from: a port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from central_portal.panosc.models import Relation, Row


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What a source may use to read less; every object that fits must still come. Empty does not narrow."""

    facility: str = ""
    pids: tuple[str, ...] = ()


class OpenRecords(Protocol):
    """Open metadata alone. Rows may carry more than the model's properties; that never leaves."""

    def rows(self, model: str, narrowing: Narrowing) -> AsyncIterator[Sequence[Row]]:
        """The objects of Dataset, Document or Instrument facility after facility and by pid within one, in batches of at most 500."""
        ...

    async def related(self, relation: Relation, rows: Sequence[Row]) -> Sequence[Sequence[Row]]:
        """For each row, in order, the objects on the relation's other end, in a stable order."""
        ...
