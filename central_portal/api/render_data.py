"""Datasets, proposals and searches as the plain data that the schema describes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from central_portal.api.ids import global_id
from central_portal.api.render import Data, page_info, problem
from central_portal.catalogue.logic import Facet, facets
from central_portal.catalogue.merging import FacilityAnswer, Merged
from shared import techniques
from shared.catalogue import Dataset, FilePage, Parameter, Proposal


def dataset(value: Dataset, home: Data) -> Data:
    """A dataset."""
    return {
        "__typename": "Dataset",
        "id": global_id("Dataset", home["slug"], value.pid),
        "pid": value.pid,
        "title": value.title,
        "proposal": value.proposal,
        "proposalId": global_id("Proposal", home["slug"], value.proposal) if value.proposal else None,
        "instrument": value.instrument,
        "sample": value.sample,
        "definition": value.definition,
        "startedAt": value.started,
        "endedAt": value.ended,
        "sizeBytes": value.size,
        "files": value.files,
        "isOpen": value.is_open,
        "techniques": [technique(term) for term in value.techniques],
        "keywords": list(value.keywords),
        "parameters": [_parameter(parameter) for parameter in value.parameters],
        "doi": value.doi or None,
        "licence": value.licence or None,
        "releasedAt": value.released,
        "archiveState": value.state,
        "isRestorable": any(capability["kind"] == "restore" for capability in home["capabilities"]),
        "facility": home,
    }


def technique(term: str) -> Data:
    """A technique."""
    label = techniques.title(term)
    return {"id": techniques.PURL + term if label else term, "title": label or term}


def _parameter(value: Parameter) -> Data:
    number, text = (None, value.value) if isinstance(value.value, str) else (value.value, None)
    return {"name": value.name, "number": number, "text": text, "unit": value.unit}


def files(page: FilePage) -> Data:
    """A page of files."""
    nodes = [{"path": f.path, "sizeBytes": f.size, "modifiedAt": f.modified} for f in page.files]
    return {
        "nodes": nodes,
        "pageInfo": page_info(nodes, page.next, more=bool(page.next)),
        "totalCount": page.total,
    }


def proposal(value: Proposal, home: Data) -> Data:
    """A proposal."""
    return {
        "__typename": "Proposal",
        "id": global_id("Proposal", home["slug"], value.pid),
        "pid": value.pid,
        "title": value.title,
        "summary": value.summary,
        "kind": value.kind,
        "instruments": list(value.instruments),
        "startedAt": value.started,
        "endedAt": value.ended,
        "releasedAt": value.released,
        "doi": value.doi or None,
        "licence": value.licence or None,
        "keywords": list(value.keywords),
        "members": [
            {"name": m.name, "role": m.role, "affiliation": m.affiliation, "orcid": m.orcid or None}
            for m in value.members
        ],
        "isOpen": value.is_open,
        "facility": home,
    }


def search_result(merged: Merged[Dataset], homes: Mapping[str, Data]) -> Data:
    """One page of a federated search."""
    nodes = [dataset(found.record, homes[found.facility_id]) for found in merged.found]
    found = [each.record for each in merged.found]
    return {
        **_merged(merged, nodes, homes),
        "facets": {
            "facilities": facility_facets(facets(each.facility_id for each in merged.found), homes),
            "instruments": plain_facets(facets(each.instrument for each in found)),
            "proposals": plain_facets(facets(each.proposal for each in found)),
            "techniques": technique_facets(facets(term for each in found for term in set(each.techniques))),
        },
        "done": merged.done,
    }


def proposal_result(merged: Merged[Proposal], homes: Mapping[str, Data]) -> Data:
    """One page of one's own proposals."""
    return _merged(merged, [proposal(f.record, homes[f.facility_id]) for f in merged.found], homes)


def _merged(merged: Merged[Any], nodes: list[Data], homes: Mapping[str, Data]) -> Data:
    """Every edge has the page's end as its cursor: the page goes on only there."""
    shown = [found.facility_id for found in merged.found]
    return {
        "nodes": nodes,
        "edges": [{"node": node, "cursor": merged.cursor} for node in nodes],
        "outcomes": [_outcome(answer, homes[answer.facility_id], shown) for answer in merged.answers],
        "pageInfo": page_info(nodes, merged.cursor, more=bool(merged.cursor)),
    }


def _outcome(answer: FacilityAnswer[Any], home: Data, shown: list[str]) -> Data:
    return {
        "facility": home, "outcome": answer.outcome, "count": shown.count(answer.facility_id),
        "ageSeconds": answer.age_s, "tookMs": answer.took_ms, "problem": problem(answer.problem),
    }  # fmt: skip


def facility_facets(counted: Iterable[Facet], homes: Mapping[str, Data]) -> list[Data]:
    """Counts by facility."""
    return [{"id": homes[f.id]["id"], "title": homes[f.id]["name"], "count": f.count} for f in counted]


def technique_facets(counted: Iterable[Facet] | None) -> list[Data] | None:
    """Counts by technique; nothing of what was not counted."""
    return None if counted is None else [{**technique(f.id), "count": f.count} for f in counted]


def plain_facets(counted: Iterable[Facet] | None) -> list[Data] | None:
    """Counts by a value that is its own title; likewise."""
    return None if counted is None else [{"id": f.id, "title": f.id, "count": f.count} for f in counted]
