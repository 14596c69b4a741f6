"""Pure: under which names a workspace shows what lies on disk, and where a task's results go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

from facility_agent.ports.catalogue import Location
from facility_agent.ports.compute import Mount
from shared.errors import InvalidRequest, NoPlaceForResults
from shared.facilities import Environment

RESULTS = "processed"
"""Results of tasks go into the site's writable mounts of this name."""


@dataclass(frozen=True, slots=True)
class Shown:
    """All mounts, and the place in the workspace where results of the first proposal go; empty for none."""

    mounts: tuple[Mount, ...]
    results: str = ""


def shown(locations: Sequence[Location], first: str = "") -> Shown:
    """Each folder under a name of its own; `first` is the proposal whose results are asked for."""
    mounts: list[Mount] = []
    results = ""
    for within in dict.fromkeys(item.within for item in locations):
        group = [item for item in locations if item.within == within]
        for name, item in zip(safe_names([item.proposal or within for item in group]), group, strict=True):
            mounts.append(Mount(name, item.folder, item.read_only, within if item.proposal else ""))
            if within == RESULTS and not item.read_only and item.proposal == first and first:
                results = results or mounts[-1].place
    return Shown(tuple(mounts), results)


def safe_names(proposals: Sequence[str]) -> list[str]:
    """A folder name for each proposal: its letters, digits, dots, hyphens and underscores; no two alike."""
    names: list[str] = []
    for proposal in proposals:
        plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in proposal).lstrip(".") or "proposal"
        taken = (plain if n == 1 else f"{plain}-{n}" for n in count(1))
        names.append(next(name for name in taken if name not in names))
    return names


def results_folder(place: str, environment: str, proposals: Sequence[str], workspace_id: str, at: float) -> str:
    """The folder of one task, by its place in the workspace: named after its environment, its day (UTC) and its id.

    Raises InvalidRequest for a task without a proposal, NoPlaceForResults.
    """
    if not proposals:
        raise InvalidRequest("A task needs a proposal: its results go there.")
    if not place:
        raise NoPlaceForResults(metadata={"proposal": proposals[0]})
    day = datetime.fromtimestamp(at, UTC).date().isoformat()
    return f"{place}/{safe_names([environment])[0]}-{day}-{workspace_id[:8]}"


def facts(
    environment: Environment,
    workspace_id: str,
    proposals: Sequence[str],
    mounts: Sequence[Mount],
    dataset: str,
    files: Sequence[str],
    *,
    whole: bool,
) -> str:
    """What a task is told, as JSON. `files` are the dataset's, relative to its own folder; `whole` says that these are all."""
    return json.dumps(
        {
            "task": environment.id, "software": {each.name: each.version for each in environment.software},
            "workspace": workspace_id, "proposals": list(proposals), "folders": [mount.place for mount in mounts],
            "dataset": dataset or None, "files": list(files), "files_are_whole": whole,
        },
        indent=1,
    )  # fmt: skip
