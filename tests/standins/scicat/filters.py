"""What may stand in a `filter`: SciCat checks the names of keys, outside of arrays, and nothing else."""

from __future__ import annotations

import json
from typing import Any

from tests.standins.scicat.errors import Refused, unknown
from tests.standins.scicat.mongo import Document, MongoError, ordered, projected, selected


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


DATASET_KEYS = words("""
    pid owner ownerEmail orcidOfOwner contactEmail sourceFolder sourceFolderHost size packedSize numberOfFiles
    numberOfFilesArchived creationTime type validationStatus keywords description datasetName classification license
    isPublished version datasetlifecycle techniques relationships sharedWith scientificMetadata scientificMetadataSchema
    scientificMetadataValid comment dataQualityMetrics principalInvestigators startTime endTime creationLocation
    dataFormat runNumber proposalIds sampleIds instrumentIds inputDatasets usedSoftware jobParameters jobLogData
    ownerGroup accessGroups instrumentGroup createdBy updatedBy createdAt updatedAt
    id archivable retrievable publishable dateOfDiskPurging archiveRetentionTime dateOfPublishing publishedOn
    isOnCentralDisk archiveStatusMessage retrieveStatusMessage archiveReturnMessage retrieveReturnMessage exportedTo
    retrieveIntegrityCheck storageLocation relationship name previousValue currentValue property
""")
BLOCK_KEYS = words("""
    _id datasetId size chkAlg dataFileList ownerGroup accessGroups instrumentGroup isPublished createdBy updatedBy
    createdAt updatedAt path time chk uid gid perm type
""")
WHERE = ["where", "$in", "$or", "$and", "$nor", "$match", "$eq", "$gt", "$gte", "$lt", "$lte", "$ne", "$nin", "$not",
         "$exists", "$regex", "$options"]  # fmt: skip
PARTS = {
    "where": WHERE,
    "include": ["include"],
    "limits": ["limits", "limit", "skip", "sort"],
    "fields": ["fields"],
}
ARBITRARY = {"scientificMetadata", "jobParameters", "jobParams", "jobResultObject"}
RELATIONS = ["instruments", "proposals", "origdatablocks", "datablocks", "attachments", "samples", "all"]
LATEST = {"createdAt": "desc"}


def _flat(value: Any, prefix: str = "") -> list[str]:
    """Paths of keys, arrays not looked into; what is null or empty vanishes, as in SciCat."""
    if value is None:
        return []
    if not isinstance(value, dict):
        return [prefix]
    return [path for key, inner in value.items() for path in _flat(inner, f"{prefix}.{key}" if prefix else key)]


def checked(text: str | None, keys: frozenset[str], parts: tuple[str, ...] = tuple(PARTS)) -> dict[str, Any]:
    """The filter. Raises Refused as `FilterValidationPipe` does."""
    try:
        value = json.loads(text) if text is not None else {}
    except ValueError as error:
        raise Refused(400, f"Invalid JSON in filter: {error}") from None
    if not isinstance(value, dict):
        raise unknown("a filter that is no object")
    allowed = keys | {key for part in parts for key in PARTS[part]}
    for path in _flat(value):
        free = False
        for part in path.split("."):
            if part not in allowed and not free:
                raise Refused(400, f"Property {path} should not exist in the filter object")
            free = free or part in ARBITRARY
    return value


def included(value: dict[str, Any]) -> list[str]:
    """The relations that a filter wants. Raises Refused for others."""
    wanted = value.get("include") or []
    if not isinstance(wanted, list):
        raise unknown("an include that is no list")
    for relation in wanted:
        if isinstance(relation, dict):
            raise unknown("the scope of a relation")
        if relation not in RELATIONS:
            raise Refused(
                400, f"Provided include field {json.dumps(relation)} is not part of the dataset relations"
            )
    return list(wanted)


def found(
    documents: list[Document], value: dict[str, Any], limits: dict[str, Any] | None = None
) -> list[Document]:
    """`$match`, `$project`, `$sort`, `$skip`, `$limit`, in this order. Raises Refused (400) with MongoDB's words."""
    asked = {
        **({"limit": 10, "skip": 0, "sort": LATEST} if limits is None else limits),
        **(value.get("limits") or {}),
    }
    skip, limit, fields = asked.get("skip") or 0, asked.get("limit") or 10, value.get("fields") or []
    if not isinstance(fields, list):
        raise unknown("fields that are no list")
    try:
        if not isinstance(skip, int) or not isinstance(limit, int) or skip < 0 or limit < 0:
            raise MongoError("invalid argument to $limit or $skip stage")
        rows = selected(documents, value.get("where") or {})
        rows = [projected(row, fields) for row in rows] if fields else rows
        rows = ordered(rows, asked.get("sort") or {})
    except MongoError as error:
        raise Refused(400, str(error)) from None
    return rows[skip : skip + limit]
