"""The part of ICAT's entity model that the reference dump uses for investigations, datasets and datafiles.

Names are those of icat.server 6.2 (src/main/java/org/icatproject/entity). A relation leads to one row (`ONE`) or, from
the other side, to those whose `ONE` leads back (`MANY`).
"""

from __future__ import annotations

COMMON = frozenset({"id", "createId", "modId"})
DATES = frozenset(
    {"startDate", "endDate", "releaseDate", "publicationDate", "datafileCreateTime", "datafileModTime"}
)
ATTRIBUTES = {
    "Facility": {"name", "fullName", "description", "url", "daysUntilRelease"},
    "Investigation": {
        "name", "visitId", "title", "summary", "doi", "startDate", "endDate", "releaseDate", "fileSize", "fileCount",
    },
    "InvestigationType": {"name", "description"},
    "InvestigationGroup": {"role"},
    "InvestigationInstrument": set(),
    "InvestigationUser": {"role"},
    "Keyword": {"name"},
    "Dataset": {
        "name", "complete", "location", "doi", "startDate", "endDate", "description", "fileSize", "fileCount",
    },
    "DatasetType": {"name", "description"},
    "DatasetInstrument": set(),
    "DatasetTechnique": set(),
    "Technique": {"name", "pid", "description"},
    "Datafile": {
        "name", "location", "fileSize", "checksum", "doi", "datafileCreateTime", "datafileModTime", "description",
    },
    "Sample": {"name", "pid"},
    "Instrument": {"name", "fullName", "description", "pid", "type", "url"},
    "InstrumentScientist": set(),
    "Grouping": {"name"},
    "UserGroup": set(),
    "User": {"name", "fullName", "givenName", "familyName", "affiliation", "email", "orcidId"},
    "Rule": {"crudFlags", "what"},
    "DataCollection": {"doi"},
    "DataCollectionInvestigation": set(),
    "DataCollectionDataset": set(),
    "DataCollectionDatafile": set(),
    "DataPublication": {"pid", "title", "publicationDate", "subject", "description", "internalId"},
}  # fmt: skip
ONE = {
    "Investigation": {"facility": "Facility", "type": "InvestigationType"},
    "InvestigationType": {"facility": "Facility"},
    "InvestigationGroup": {"investigation": "Investigation", "grouping": "Grouping"},
    "InvestigationInstrument": {"investigation": "Investigation", "instrument": "Instrument"},
    "InvestigationUser": {"investigation": "Investigation", "user": "User"},
    "Keyword": {"investigation": "Investigation"},
    "Dataset": {"investigation": "Investigation", "type": "DatasetType", "sample": "Sample"},
    "DatasetType": {"facility": "Facility"},
    "DatasetInstrument": {"dataset": "Dataset", "instrument": "Instrument"},
    "DatasetTechnique": {"dataset": "Dataset", "technique": "Technique"},
    "Datafile": {"dataset": "Dataset"},
    "Sample": {"investigation": "Investigation"},
    "Instrument": {"facility": "Facility"},
    "InstrumentScientist": {"instrument": "Instrument", "user": "User"},
    "UserGroup": {"grouping": "Grouping", "user": "User"},
    "Rule": {"grouping": "Grouping"},
    "DataCollectionInvestigation": {"dataCollection": "DataCollection", "investigation": "Investigation"},
    "DataCollectionDataset": {"dataCollection": "DataCollection", "dataset": "Dataset"},
    "DataCollectionDatafile": {"dataCollection": "DataCollection", "datafile": "Datafile"},
    "DataPublication": {"content": "DataCollection", "facility": "Facility"},
}
MANY = {
    "Investigation": {
        "investigationGroups": ("InvestigationGroup", "investigation"),
        "investigationInstruments": ("InvestigationInstrument", "investigation"),
        "investigationUsers": ("InvestigationUser", "investigation"),
        "keywords": ("Keyword", "investigation"),
        "datasets": ("Dataset", "investigation"),
        "dataCollectionInvestigations": ("DataCollectionInvestigation", "investigation"),
    },
    "Dataset": {
        "datafiles": ("Datafile", "dataset"),
        "datasetInstruments": ("DatasetInstrument", "dataset"),
        "datasetTechniques": ("DatasetTechnique", "dataset"),
        "dataCollectionDatasets": ("DataCollectionDataset", "dataset"),
    },
    "Datafile": {"dataCollectionDatafiles": ("DataCollectionDatafile", "datafile")},
    "Instrument": {"instrumentScientists": ("InstrumentScientist", "instrument")},
    "Grouping": {
        "userGroups": ("UserGroup", "grouping"),
        "investigationGroups": ("InvestigationGroup", "grouping"),
        "rules": ("Rule", "grouping"),
    },
    "User": {"userGroups": ("UserGroup", "user"), "instrumentScientists": ("InstrumentScientist", "user")},
    "DataCollection": {
        "dataPublications": ("DataPublication", "content"),
        "dataCollectionInvestigations": ("DataCollectionInvestigation", "dataCollection"),
        "dataCollectionDatasets": ("DataCollectionDataset", "dataCollection"),
        "dataCollectionDatafiles": ("DataCollectionDatafile", "dataCollection"),
    },
}
