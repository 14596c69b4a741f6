"""Open records in memory, and the PaNOSC search API's own test data as such.

`db.json` is `data/db.json` of https://github.com/panosc-eu/search-api, unchanged.
Copyright (c) 2020, PaNOSC; BSD 2-Clause License, in `LICENSE` beside it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from central_portal.panosc.models import MODELS, Relation, Row
from central_portal.panosc.records import Narrowing

Objects = dict[str, list[dict[str, Any]]]
_KEYS = {"File": "id", "Parameter": "id", "Member": "id", "Person": "id", "Affiliation": "id"}


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


def specification() -> Objects:
    """The objects of db.json by model."""
    stored = json.loads(Path(__file__).with_name("db.json").read_text(encoding="utf-8"))["models"]
    return {model: [json.loads(text) for text in rows.values()] for model, rows in stored.items()}


def records(objects: Objects, batch: int = 500) -> MemoryRecords:
    """Objects with LoopBack's foreign keys, linked as the models' relations say."""
    links: dict[tuple[str, str], list[tuple[int, int]]] = {}

    def at(model: str) -> dict[Any, int]:
        key = _KEYS.get(model, "pid")
        return {row[key]: index for index, row in enumerate(objects.get(model, []))}

    def link(source: str, name: str, target: str, back: str, pairs: list[tuple[int, int]]) -> None:
        if name:
            links[source, name] = sorted(pairs)
        if back:
            links[target, back] = sorted((b, a) for a, b in pairs)

    def owned(source: str, name: str, target: str, back: str, key: str) -> None:
        known = at(target)
        pairs = [(i, known[row[key]]) for i, row in enumerate(objects.get(source, [])) if row.get(key) in known]
        link(source, name, target, back, pairs)

    def joined(table: str, source: str, name: str, target: str, back: str, keys: tuple[str, str]) -> None:
        left, right = at(source), at(target)
        rows = objects.get(table, [])
        link(source, name, target, back, [(left[row[keys[0]]], right[row[keys[1]]]) for row in rows])

    owned("Dataset", "instrument", "Instrument", "datasets", "instrumentId")
    owned("File", "dataset", "Dataset", "files", "datasetId")
    owned("Parameter", "dataset", "Dataset", "parameters", "datasetId")
    owned("Parameter", "document", "Document", "parameters", "documentId")
    owned("Member", "document", "Document", "members", "documentId")
    owned("Member", "person", "Person", "members", "personId")
    owned("Member", "affiliation", "Affiliation", "members", "affiliationId")
    joined("DocumentDataset", "Document", "datasets", "Dataset", "documents", ("documentId", "datasetId"))
    joined("DatasetTechnique", "Dataset", "techniques", "Technique", "datasets", ("datasetId", "techniqueId"))
    joined("DatasetSample", "Dataset", "samples", "Sample", "datasets", ("datasetId", "sampleId"))
    targets = {(m.name, r.name): r.target for m in MODELS.values() for r in m.relations.values()}
    return MemoryRecords(objects, links, targets, batch)
