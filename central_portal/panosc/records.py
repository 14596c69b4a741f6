"""Where the API's objects come from: a port, and the implementation in memory that tests use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from central_portal.panosc.models import Relation, Row


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What a source may use to read less; every object that fits must still come. Empty does not narrow."""

    facility: str = ""
    pids: tuple[str, ...] = ()


class OpenRecords(Protocol):
    """Open metadata alone. Rows may carry more than the model's properties; that never leaves."""

    def rows(self, model: str, narrowing: Narrowing) -> AsyncIterator[Sequence[Row]]:
        """The objects of Dataset, Document or Instrument by ascending pid, in batches of at most 500."""
        ...

    async def related(self, relation: Relation, rows: Sequence[Row]) -> Sequence[Sequence[Row]]:
        """For each row, in order, the objects on the relation's other end, in a stable order."""
        ...


class MemoryRecords:
    """Objects by model, and the links of each relation as pairs of positions."""

    def __init__(
        self,
        objects: Mapping[str, Sequence[Mapping[str, Any]]],
        links: Mapping[tuple[str, str], Sequence[tuple[int, int]]],
        targets: Mapping[tuple[str, str], str],
        batch: int = 500,
    ) -> None:
        """`links[model, relation]` are (source, target) positions; `targets` names the relation's model."""
        self._objects = {
            model: [{**row, "_at": at} for at, row in enumerate(rows)] for model, rows in objects.items()
        }
        self._batch = batch
        self._ends: dict[tuple[str, str], dict[int, list[Row]]] = {}
        for where, pairs in links.items():
            ends = self._ends.setdefault(where, {})
            for source, target in pairs:
                ends.setdefault(source, []).append(self._objects[targets[where]][target])
        self.reads = 0

    async def rows(self, model: str, narrowing: Narrowing) -> AsyncIterator[Sequence[Row]]:
        """See OpenRecords."""
        found = sorted(self._objects.get(model, []), key=lambda row: row["pid"])
        found = [row for row in found if not narrowing.pids or row["pid"] in narrowing.pids]
        found = [row for row in found if narrowing.facility in ("", row.get("_facility", ""))]
        for at in range(0, len(found), self._batch):
            self.reads += 1
            yield found[at : at + self._batch]

    async def related(self, relation: Relation, rows: Sequence[Row]) -> Sequence[Sequence[Row]]:
        """See OpenRecords."""
        self.reads += 1
        ends = self._ends.get((relation.source, relation.name), {})
        return [ends.get(row["_at"], []) for row in rows]
