"""ICAT's stand-in for the catalogue suite, and the adapter over it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from facility_agent.adapters.catalogue.icat_catalogue import IcatCatalogue
from facility_agent.adapters.catalogue.icat_plugin import IcatPlugin
from facility_agent.adapters.catalogue.icat_restoring import RestorableIcat
from facility_agent.adapters.catalogue.icat_settings import IcatSettings
from facility_agent.plugins import Site
from facility_agent.ports.catalogue import Reader, RestorableCatalogue
from facility_agent.testing.catalogue_world import ADA, Known, RestorableWorld
from tests.icat_tokens import PLUGIN, Purse, token, trusting
from tests.standins.icat import Icat, Ids, build, passwords, serving

OPEN = "P-open"
KEEPER, PASSWORD = "parasol", "correct horse"
MEMBER = "JOIN i.investigationGroups AS g JOIN g.grouping AS h JOIN h.userGroups AS m JOIN m.user AS u WHERE u.name = :user"
IN_PERSON: dict[str, Any] = {"person_session": PLUGIN, "person_session_required": True}
WAYS = {
    "i": "Investigation i", "d": "Dataset d JOIN d.investigation AS i",
    "f": "Datafile f JOIN f.dataset AS d JOIN d.investigation AS i",
}  # fmt: skip


class Door:
    """The door of an ICAT and its IDS; `down` says that nothing but their proxy answers."""

    def __init__(self, icat: Icat, ids: Ids | None = None) -> None:
        self.down = False
        self._app = build(icat, ids)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answering = Response("<html>Bad gateway</html>", 502) if self.down else self._app
        await answering(scope, receive, send)


def settings(base: str, at: Path, /, **more: Any) -> IcatSettings:
    """Settings for an ICAT at `base`, data and password below `at`."""
    password = at / "password"
    password.write_text(PASSWORD + "\n")
    password.chmod(0o600)
    given = {
        "people": "db",
        "root": at / "data",
        "remember_s": 0.0,
        "ids_url": f"{base}/ids",
        "ids_timeout_s": 30.0,
    } | more
    return IcatSettings.model_validate(
        {"url": f"{base}/icat", "username": KEEPER, "password_file": password, **given}
    )


def adapter(base: str, at: Path, /, **more: Any) -> IcatCatalogue:
    """The adapter as composition builds it."""
    return IcatPlugin.build(settings(base, at, **more), Site("alpha", at, at))


def empty() -> Icat:
    """An ICAT whose investigations are read by the members of their groupings, and by anyone once released."""
    icat = Icat(
        authenticators={"simple": passwords("simple", {KEEPER: PASSWORD})}, root=frozenset({f"simple/{KEEPER}"})
    )
    for alias, chain in WAYS.items():
        icat.add("Rule", crudFlags="R", what=f"SELECT {alias} FROM {chain} {MEMBER}")
        icat.add(
            "Rule", crudFlags="R", what=f"SELECT {alias} FROM {chain} WHERE i.releaseDate < CURRENT_TIMESTAMP"
        )
    for public in ("DatasetType", "Instrument", "InvestigationType", "Technique"):
        icat.add("Rule", crudFlags="R", what=public)
    for origin, field in (("Dataset", "sample"), ("Dataset", "datasetInstruments"), ("Dataset", "datasetTechniques"),
                          ("Investigation", "investigationInstruments"), ("Investigation", "keywords")):  # fmt: skip
        icat.add("PublicStep", origin=origin, field=field)
    icat.add("Facility", name="F")
    return icat


class IcatWorld(RestorableWorld):
    """An ICAT whose proposals have a grouping and a folder each; a reader is a user who is in the groupings of theirs."""

    open_proposal = OPEN

    def __init__(
        self, folder: Path, ids: Ids, door: Door, backend: IcatCatalogue, base: str, purse: Purse | None = None
    ) -> None:
        self._purse = purse
        self.icat, self.ids, self.backend, self._door = ids.icat, ids, backend, door
        self._folder, self._base, self.again = folder, base, list[IcatCatalogue]()
        self._data = folder / "data"
        self._data.mkdir()
        self.roots = (self._data.resolve(),)

    def reader(self, *proposals: str) -> Reader:
        name = f"ada-{len(self.icat.rows['User'])}"
        account = replace(ADA, username=name, immutable_id=f"id of {name}")
        if self._purse is not None:
            self._purse.put(account.immutable_id, token(self.icat, f"db/{name}"))
        user = self.icat.add("User", name=f"db/{account.username}")
        for proposal in proposals:
            self.icat.add("UserGroup", user=user, grouping=one(self.icat, "Grouping", name=proposal))
        return Reader(account, frozenset(proposals))

    async def put(self, *known: Known) -> None:
        for k in known:
            record(self.icat, k)
            (self._data / k.proposal).mkdir(exist_ok=True)

    async def remove(self, title: str) -> None:
        rows, number = self.icat.rows, self.icat.named("Dataset", title)
        del rows["Dataset"][number]
        for entity in ("Datafile", "DatasetInstrument", "DatasetTechnique"):
            rows[entity] = {n: row for n, row in rows[entity].items() if row["dataset"] != number}

    async def archive(self, title: str) -> None:
        self.ids.archive[self.icat.named("Dataset", title)] = "ARCHIVED"

    async def arrive(self, title: str) -> None:
        del self.ids.archive[self.icat.named("Dataset", title)]

    async def fail(self, title: str) -> None:
        await self.archive(title)

    async def asked(self, title: str) -> int:
        return self.ids.restores.count(self.icat.named("Dataset", title))

    async def reopened(self) -> RestorableCatalogue:
        again = adapter(self._base, self._folder, **IN_PERSON if self._purse is not None else {})
        assert isinstance(again, RestorableIcat)
        if self._purse is not None:
            again.use(self._purse)
        self.again.append(again)
        return again

    @contextmanager
    def outage(self) -> Iterator[None]:
        self._door.down = True
        yield
        self._door.down = False


def one(icat: Icat, entity: str, **values: Any) -> int:
    """The id of the row with these values, which is made when there is none."""
    for number, row in icat.rows[entity].items():
        if all(row.get(name) == value for name, value in values.items()):
            return number
    return icat.add(entity, **values)


def record(icat: Icat, k: Known) -> int:
    """The rows of a dataset, its files, investigation, grouping, sample, instrument and techniques."""
    investigation = one(icat, "Investigation", name=k.proposal, visitId="1")
    row = icat.rows["Investigation"][investigation] | {"title": "A title", "facility": icat.named("Facility", "F")}
    if k.proposal == OPEN:
        row["releaseDate"] = datetime(2020, 1, 1, tzinfo=UTC)
    icat.rows["Investigation"][investigation] = row
    one(icat, "InvestigationGroup", investigation=investigation, grouping=one(icat, "Grouping", name=k.proposal))
    dataset = icat.add(
        "Dataset", name=k.title, investigation=investigation, type=one(icat, "DatasetType", name=k.definition),
        location=f"/elsewhere/{k.proposal}", fileCount=len(k.files), fileSize=sum(file.size for file in k.files),
    )  # fmt: skip
    if k.started is not None:
        icat.rows["Dataset"][dataset]["startDate"] = datetime.fromtimestamp(k.started, UTC)
    if k.sample:
        icat.rows["Dataset"][dataset]["sample"] = one(icat, "Sample", name=k.sample, investigation=investigation)
    icat.add("DatasetInstrument", dataset=dataset, instrument=one(icat, "Instrument", name=k.instrument))
    for term in k.techniques:
        icat.add("DatasetTechnique", dataset=dataset, technique=one(icat, "Technique", name=term, pid=term))
    for file in k.files:
        icat.add("Datafile", dataset=dataset, name=file.path, fileSize=file.size,
                 location=f"/elsewhere/{k.proposal}/{file.path}")  # fmt: skip
    return dataset


@asynccontextmanager
async def icat(folder: Path) -> AsyncIterator[IcatWorld]:
    """A world of its own."""
    ids = Ids(empty())
    door = Door(ids.icat, ids)
    async with serving(door) as base, adapter(base, folder) as backend:
        world = IcatWorld(folder, ids, door, backend, base)
        yield world
        for again in world.again:
            await again.__aexit__()


@asynccontextmanager
async def icat_in_person(folder: Path) -> AsyncIterator[IcatWorld]:
    """The same, where everybody is asked for in a session of their own and nobody without one."""
    ids, purse = Ids(trusting(empty())), Purse()
    door = Door(ids.icat, ids)
    async with serving(door) as base, adapter(base, folder, **IN_PERSON) as backend:
        backend.use(purse)
        world = IcatWorld(folder, ids, door, backend, base, purse)
        yield world
        for again in world.again:
            await again.__aexit__()
