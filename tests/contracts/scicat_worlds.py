"""SciCat's stand-in for the catalogue suite, and the adapter over it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from facility_agent.adapters.catalogue.scicat import Scicat, ScicatPlugin
from facility_agent.adapters.catalogue.scicat_settings import ScicatSettings
from facility_agent.plugins import Site
from facility_agent.ports.catalogue import RestorableCatalogue
from facility_agent.testing.catalogue_world import Known, RestorableWorld
from tests.standins.scicat import SciCat, build, serving
from tests.standins.scicat.world import lifecycle

OPEN = "P-open"
KEEPER, PASSWORD = "parasol", "correct horse"


class Door:
    """SciCat's door; `down` says that nothing but its proxy answers."""

    def __init__(self, scicat: SciCat) -> None:
        self.down = False
        self._app = build(scicat)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answering = Response("<html>Bad gateway</html>", 502) if self.down else self._app
        await answering(scope, receive, send)


def settings(base: str, at: Path, /, **more: Any) -> ScicatSettings:
    """Settings for a SciCat at `base`, data and password below `at`."""
    password = at / "password"
    password.write_text(PASSWORD + "\n")
    password.chmod(0o600)
    given = {"sample": "sample_name", "root": at / "data", "remember_s": 0.0} | more
    return ScicatSettings.model_validate(
        {"url": base, "username": KEEPER, "password_file": password, **given}
    )  # fmt: skip


def adapter(base: str, at: Path, /, **more: Any) -> Scicat:
    """The adapter as composition builds it."""
    return ScicatPlugin.build(settings(base, at, **more), Site("alpha", at, at))


class ScicatWorld(RestorableWorld):
    """A SciCat whose proposals have a folder each, and whose archive retrieves."""

    open_proposal = OPEN

    def __init__(
        self,
        folder: Path,
        scicat: SciCat,
        door: Door,
        backend: Scicat,
        stack: AsyncExitStack,
        another: Callable[[], Any],
    ) -> None:
        self.scicat, self.backend, self._door = scicat, backend, door
        self._stack, self._another = stack, another
        self._data = folder / "data"
        self._data.mkdir()
        self.roots = (self._data.resolve(),)

    async def put(self, *known: Known) -> None:
        for k in known:
            record(self.scicat, k)
            (self._data / k.proposal).mkdir(exist_ok=True)

    async def remove(self, title: str) -> None:
        self.scicat.remove(pid_for(title))

    def _cycle(self, title: str, *, on_disk: bool) -> None:
        row = next(row for row in self.scicat.datasets if row["pid"] == pid_for(title))
        row["datasetlifecycle"] = lifecycle(isOnCentralDisk=on_disk, retrievable=True)

    def _jobs(self, title: str) -> list[dict[str, Any]]:
        listed = {"pid": pid_for(title), "files": []}
        return [job for job in self.scicat.jobs if job["jobParams"]["datasetList"] == [listed]]

    async def archive(self, title: str) -> None:
        self._cycle(title, on_disk=False)

    async def arrive(self, title: str) -> None:
        self._cycle(title, on_disk=True)
        for job in self._jobs(title):
            job["statusCode"] = "finishedSuccessful"

    async def fail(self, title: str) -> None:
        for job in self._jobs(title):
            job["statusCode"] = "finishedUnsuccessful"

    async def asked(self, title: str) -> int:
        return len(self._jobs(title))

    async def reopened(self) -> RestorableCatalogue:
        return await self._stack.enter_async_context(self._another())

    @contextmanager
    def outage(self) -> Iterator[None]:
        self._door.down = True
        yield
        self._door.down = False


def pid_for(title: str) -> str:
    """A pid as SciCat makes them: a prefix, a slash, and what is unique."""
    return f"20.500.12345/{title.encode().hex()}"


def record(scicat: SciCat, k: Known) -> None:
    """The records of a dataset, its files, proposal and instrument."""
    public = k.proposal == OPEN
    started = {} if k.started is None else {"startTime": datetime.fromtimestamp(k.started, UTC)}
    scicat.put(
        "datasets", pid=pid_for(k.title), datasetName=k.title, proposalIds=[k.proposal], ownerGroup=f"g-{k.proposal}",
        instrumentIds=[f"i/{k.instrument}"], dataFormat=k.definition, isPublished=public, numberOfFiles=len(k.files),
        size=sum(file.size for file in k.files), sourceFolder=f"/elsewhere/{k.proposal}", **started,
        techniques=[{"pid": term, "name": ""} for term in k.techniques], ownerEmail="somebody@example.org",
        scientificMetadata={"sample_name": {"value": k.sample, "unit": ""}} if k.sample else {},
    )  # fmt: skip
    for n, file in enumerate(reversed(k.files)):
        listed = [{"path": file.path, "size": file.size, "uid": "ann", "perm": "600"}]
        scicat.put(
            "blocks",
            _id=f"{pid_for(k.title)}-{n}",
            datasetId=pid_for(k.title),
            dataFileList=listed,
            isPublished=public,
        )
    scicat.put("proposals", proposalId=k.proposal, title="A title", isPublished=public, pi_firstname="Ada",
               pi_lastname="Lovelace", pi_email="ada@example.org", email="proposer@example.org")  # fmt: skip
    scicat.put("instruments", pid=f"i/{k.instrument}", name=k.instrument)


@asynccontextmanager
async def scicat(folder: Path) -> AsyncIterator[ScicatWorld]:
    """A world of its own."""
    state = SciCat()
    state.add_user(KEEPER, "admin", strategy="local", password=PASSWORD)
    door = Door(state)
    async with AsyncExitStack() as stack:
        base = await stack.enter_async_context(serving(door))
        another = partial(adapter, base, folder, retrieve_job="retrieve")
        backend = await stack.enter_async_context(another())
        yield ScicatWorld(folder, state, door, backend, stack, another)
