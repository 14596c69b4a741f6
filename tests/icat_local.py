"""The adapter over ICAT's stand-in without HTTP between them, and how tests read with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from facility_agent.adapters.catalogue.icat import Icat as Adapter
from facility_agent.adapters.catalogue.icat_open import IcatOpen
from shared.catalogue import Dataset, ProposalQuery, SearchQuery
from shared.commands import GetFiles
from shared.errors import BackendError
from tests.icat_dump import SERVICE
from tests.standins.icat import Icat, Refused
from tests.standins.icat.answers import answered

ENTITIES = ("Investigation", "Dataset", "Datafile")
ANYONE = "anon/anon"


@dataclass
class Local:
    """The service account's session, or the one of another user `name`."""

    world: Icat
    name: str = f"simple/{SERVICE}"

    async def query(self, text: str) -> list[Any]:
        try:
            return answered(self.world, text, self.name)
        except Refused as refused:
            raise BackendError("The stand-in refused a question.") from refused

    async def user(self) -> str:
        return self.name


def local(world: Icat) -> Adapter:
    """The adapter; `simple/root` is somebody who sees everything."""
    return Adapter(Local(world), roots=frozenset({"simple/root"}))


def opened(world: Icat) -> IcatOpen:
    """What anyone may know."""
    return IcatOpen(Local(world), ANYONE)


async def everything(adapter: Adapter, user: str, limit: int = 2) -> tuple[list[str], list[Dataset], list[str]]:
    """Proposals, datasets and files that following `next` finds."""
    proposals, files = list[str](), list[str]()
    asked = ProposalQuery(limit=limit)
    while True:
        page = await adapter.proposals(asked, user)
        proposals += [each.pid for each in page.proposals]
        if not page.next:
            break
        asked = replace(asked, after=page.next)
    datasets = await searched(adapter, user, SearchQuery(limit=limit))
    for dataset in datasets:
        wanted = GetFiles(dataset.pid, limit)
        while True:
            part = await adapter.files(wanted, user)
            files += [f"{dataset.pid}/{each.path}" for each in part.files]
            if not part.next:
                break
            wanted = replace(wanted, after=part.next)
    return proposals, datasets, files


async def searched(adapter: Adapter, user: str, query: SearchQuery, own: Local | None = None) -> list[Dataset]:
    """Every dataset that a question finds, page by page; in the user's `own` session where there is one."""
    found = list[Dataset]()
    while True:
        page = await adapter.search(query, user, own=own)
        assert len(page.datasets) <= query.limit
        found += page.datasets
        if not page.next:
            return found
        query = replace(query, after=page.next)
