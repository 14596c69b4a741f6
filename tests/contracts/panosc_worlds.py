"""A PaNOSC search API's stand-in for the catalogue suite, and the adapter over it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.responses import Response

from facility_agent.adapters.catalogue.panosc import Panosc, PanoscPlugin
from facility_agent.adapters.catalogue.panosc_settings import PanoscSettings
from facility_agent.plugins import Site
from facility_agent.ports.catalogue import STRANGER
from facility_agent.testing.catalogue_world import THEIRS, CatalogueWorld, Known
from facility_agent.testing.patience import eventually
from shared.catalogue import SearchQuery
from shared.techniques import PURL
from tests.standins.panosc.api import PanoscApi
from tests.standins.serving import serving

OPEN = "P-open"


def adapter(base: str, at: Path, /, **more: Any) -> Panosc:
    """The adapter as composition builds it, which looks again and again without a pause."""
    given = {
        "root": at / "data",
        "all_open": True,
        "reread_s": 0.01,
        "page": 7,
        "proposal_prefix": "10.5072/",
    } | more
    settings = PanoscSettings.model_validate({"url": f"{base}/api", **given})
    (at / "state").mkdir(exist_ok=True)
    return PanoscPlugin.build(settings, Site("alpha", at / "state", at))


class PanoscWorld(CatalogueWorld):
    """An API whose public proposals have a folder each. What is theirs is there and not public, which no such API should show."""

    open_proposal = OPEN
    has_own = holds_definitions = counts_files = False

    def __init__(self, folder: Path, api: PanoscApi, backend: Panosc) -> None:
        self.api, self.backend = api, backend
        self._data = folder / "data"
        self._data.mkdir(exist_ok=True)
        self.roots = (self._data.resolve(),)

    async def put(self, *known: Known) -> None:
        for k in known:
            record(self.api, k)
            (self._data / k.proposal).mkdir(exist_ok=True)
        await self._caught_up()

    async def remove(self, title: str) -> None:
        self.api.remove("Dataset", pid_for(title))
        await self._caught_up()

    async def _caught_up(self) -> None:
        await eventually(self._same, "the adapter has read the API")

    async def _same(self) -> bool:
        public = sorted(row["title"] for row in self.api.objects["Dataset"] if row["isPublic"])
        found, query = list[str](), SearchQuery(limit=100)
        while True:
            page = await self.backend.search(query, STRANGER)
            found += [d.title for d in page.datasets]
            if not page.next:
                return page.complete and sorted(found) == public
            query = SearchQuery(limit=100, after=page.next)

    @contextmanager
    def outage(self) -> Iterator[None]:
        self.api.instead = lambda _: Response("<html>Bad gateway</html>", 502)
        yield
        self.api.instead = lambda _: None


def pid_for(title: str) -> str:
    """A pid as the specification wants them: a handle, with its slash."""
    return f"20.500.12345/{title.encode().hex()}"


def record(api: PanoscApi, k: Known) -> None:
    """The objects of a dataset, its files, proposal, instrument, sample and techniques."""
    pid, document, public = pid_for(k.title), f"10.5072/{k.proposal}", k.proposal != THEIRS
    started = {} if k.started is None else {"creationDate": datetime.fromtimestamp(k.started, UTC).isoformat()}
    api.put("Dataset", pid=pid, title=k.title, isPublic=public, instrumentId=f"i/{k.instrument}", **started)
    api.put("Instrument", pid=f"i/{k.instrument}", name=k.instrument, facility="Alpha")
    api.put("Document", pid=document, title="A title", isPublic=public, type="proposal")
    api.put("DocumentDataset", pid=f"{document} {pid}", documentId=document, datasetId=pid)
    if k.sample:
        api.put("Sample", pid=f"s/{k.sample}", name=k.sample)
        api.put("DatasetSample", pid=f"{k.sample} {pid}", datasetId=pid, sampleId=f"s/{k.sample}")
    for term in k.techniques:
        said = {"panetId": PURL + term} if term.startswith("PaNET") else {}
        own = f"t/{term}" if said else term
        api.put("Technique", pid=own, name="a technique", **said)
        api.put("DatasetTechnique", pid=f"{term} {pid}", datasetId=pid, techniqueId=own)
    for n, file in enumerate(reversed(k.files)):
        folder, _, name = file.path.rpartition("/")
        api.put("File", id=f"{pid} {n}", name=name, path=folder, size=file.size, datasetId=pid)
    if public:
        api.put("Person", id=f"p {k.proposal}", fullName="Ada Lovelace", orcid="0000-0001")
        api.put(
            "Member",
            id=f"m {k.proposal}",
            role="principal investigator",
            documentId=document,
            personId=f"p {k.proposal}",
        )


@asynccontextmanager
async def panosc(folder: Path) -> AsyncIterator[PanoscWorld]:
    """A world of its own."""
    api = PanoscApi({"Dataset": [], "Document": []})
    (folder / "data").mkdir()
    async with serving(api) as base, adapter(base, folder) as backend:
        world = PanoscWorld(folder, api, backend)
        await world.put()
        yield world
