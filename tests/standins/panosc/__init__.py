"""The PaNOSC search API's own test data, as records.

`db.json` is `data/db.json` of https://github.com/panosc-eu/search-api, unchanged.
Copyright (c) 2020, PaNOSC; BSD 2-Clause License, in `LICENSE` beside it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from central_portal.panosc.models import MODELS
from central_portal.panosc.records import MemoryRecords

Objects = dict[str, list[dict[str, Any]]]
_KEYS = {"File": "id", "Parameter": "id", "Member": "id", "Person": "id", "Affiliation": "id"}


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
