"""Who may see what of the reference dump, told without its Rule table's text and without a query language.

Written from the rules' meaning: members of an investigation's groupings and scientists of its instruments see it and all
that is in it; a publication that is out shows the datasets, files and investigations that it is made of; a release date
in the past shows the investigation and its raw datasets; members of some groupings see everything.
"""

from __future__ import annotations

from tests.standins.icat.world import Icat

ENTITIES = ("Investigation", "Dataset", "Datafile")
Seen = dict[str, set[int]]


def visible(world: Icat, user: str) -> Seen:
    """The ids of what this user may see, by entity."""
    t = world.rows
    if user in world.root:
        return {entity: set(t[entity]) for entity in ENTITIES}
    me = {i for i, row in t["User"].items() if row["name"] == user}
    groups = {row["grouping"] for row in t["UserGroup"].values() if row["user"] in me}
    names = {t["Grouping"][g]["name"] for g in groups}
    mine = {row["investigation"] for row in t["InvestigationGroup"].values() if row["grouping"] in groups}
    at = {row["instrument"] for row in t["InstrumentScientist"].values() if row["user"] in me}
    mine |= {row["investigation"] for row in t["InvestigationInstrument"].values() if row["instrument"] in at}
    out = [row["content"] for row in t["DataPublication"].values()
           if "pubreader" in names or (row.get("publicationDate") is not None and row["publicationDate"] < world.now)]  # fmt: skip
    part = {
        entity: {
            row[entity.lower()] for row in t[f"DataCollection{entity}"].values() if row["dataCollection"] in out
        }
        for entity in ENTITIES
    }
    released = {
        i for i, row in t["Investigation"].items() if row.get("releaseDate") and row["releaseDate"] < world.now
    }
    raw = {i for i, row in t["DatasetType"].items() if row["name"] == "raw"}
    inner = {i for i, row in t["Dataset"].items() if row["investigation"] in mine | part["Investigation"]}
    inner |= part["Dataset"]
    freed = {i for i, row in t["Dataset"].items() if row["investigation"] in released and row["type"] in raw}
    seen = {
        "Investigation": mine | part["Investigation"] | released,
        "Dataset": inner | freed,
        "Datafile": {i for i, row in t["Datafile"].items() if row["dataset"] in inner | freed} | part["Datafile"],
    }
    if names & {"ingest", "rall"}:
        return {entity: set(t[entity]) for entity in ENTITIES}
    if "useroffice" in names:
        seen["Investigation"] = set(t["Investigation"])
    return seen
