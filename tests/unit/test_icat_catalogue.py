"""The adapter as a site sets it up: whose eyes it sees with, its settings, where data are and their restore."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from facility_agent.adapters.catalogue.icat_catalogue import IcatCatalogue
from facility_agent.ports.catalogue import STRANGER, Reader
from facility_agent.testing.catalogue_world import ADA
from shared.catalogue import ArchiveState, ProposalQuery, SearchQuery
from shared.errors import BackendError, BackendUnavailable, InvalidRequest, NotFound, Unsupported
from tests.contracts.icat_worlds import adapter, settings
from tests.icat_dump import served
from tests.standins.icat import Ids, build, serving

pytestmark = pytest.mark.needs("icat-data")


def reader(name: str, *proposals: str) -> Reader:
    return Reader(replace(ADA, username=name), frozenset(proposals))


@dataclass
class Place:
    """An ICAT with its IDS; `instead` answers for the IDS when it is set."""

    ids: Ids
    folder: Path
    base: str = ""
    instead: Response | None = None
    halts: bool = False

    def __post_init__(self) -> None:
        self._app = build(self.ids.icat, self.ids)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/ids") and self.halts:
            await asyncio.Event().wait()
        mine = scope["path"].startswith("/ids") and self.instead
        await (self.instead if mine and self.instead else self._app)(scope, receive, send)

    def adapter(self, **more: Any) -> IcatCatalogue:
        return adapter(self.base, self.folder, **more)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    world = served()
    for row in world.rows["Datafile"].values():
        row["location"] = f"files/{row['id']}"
    (tmp_path / "data").mkdir()
    made = Place(Ids(world), tmp_path)
    async with serving(made) as made.base:
        yield made


@pytest.fixture
async def port(place: Place) -> AsyncIterator[IcatCatalogue]:
    async with place.adapter() as made:
        yield made


async def titles(port: IcatCatalogue, who: Reader) -> set[str]:
    return {each.title for each in (await port.search(SearchQuery(limit=100), who)).datasets}


async def test_a_person_is_their_accounts_user_and_a_stranger_is_anyone(port: IcatCatalogue) -> None:
    assert [len(await titles(port, who)) for who in (reader("jdoe"), STRANGER, reader("nobody"))] == [6, 1, 1]
    assert (await port.open_proposals(), await port.instruments()) == (set(), ())
    with pytest.raises(NotFound):
        await port.get((await port.search(SearchQuery(), reader("jdoe"))).datasets[-1].pid, STRANGER)


async def test_proposals_of_the_accounts_file_do_not_widen_what_icat_shows(port: IcatCatalogue) -> None:
    """The catalogue decides: a file that is out of date must not show what ICAT hides."""
    whole = (await port.search(SearchQuery(proposals=("12100409-ST",)), reader("nbour"))).datasets
    hidden = [each for each in whole if not each.is_open]
    assert len(hidden) == 3
    more, less = reader("jdoe", "12100409-ST", "10100601-ST"), reader("jdoe")
    assert await port.search(SearchQuery(limit=100), more) == await port.search(SearchQuery(limit=100), less)
    assert (await port.search(SearchQuery(proposals=("12100409-ST",)), more)).datasets == ()
    assert [p.pid for p in (await port.proposals(ProposalQuery(), more)).proposals] == [
        "08100122-EF",
        "10100601-ST",
    ]
    for each in hidden:
        with pytest.raises(NotFound):
            await port.get(each.pid, more)
        with pytest.raises(NotFound):
            await port.restore(each.pid, more)


async def test_names_that_would_be_somebody_elses_are_refused(place: Place) -> None:
    async with place.adapter(people="", roots=("simple/root",)) as port:
        for name in ("simple/root", "db/nbour", "a\nb", "x/"):
            with pytest.raises(InvalidRequest):
                await port.search(SearchQuery(), reader(name))
    assert place.ids.icat.asked == []


async def test_roots_see_everything(place: Place) -> None:
    async with place.adapter(roots=("db/root",)) as port:
        assert len(await titles(port, reader("root"))) == 9
        assert len(await titles(port, reader("Root"))) == 1


async def test_a_site_says_which_attributes_name_proposals_and_instruments(place: Place) -> None:
    for row in place.ids.icat.rows["Instrument"].values():
        row["fullName"] = f"Beamline {row['name']}"
    async with place.adapter(proposal="visitId", instrument="fullName") as port:
        found = (
            await port.search(SearchQuery(limit=100, instruments=("Beamline HIKE",)), reader("nbour"))
        ).datasets
        assert {(each.proposal, each.instrument) for each in found} == {("1.1-P", "Beamline HIKE")}
        page = await port.proposals(ProposalQuery(), reader("nbour"))
        assert {each.pid for each in page.proposals} == {
            row["visitId"] for row in place.ids.icat.rows["Investigation"].values()
        }


# --- where data are


async def test_states_are_told_for_each_dataset_of_a_page(place: Place, port: IcatCatalogue) -> None:
    named, archive = place.ids.icat.named, place.ids.archive
    page = await port.search(SearchQuery(limit=100), reader("nbour"))
    assert {each.state for each in page.datasets} == {ArchiveState.ONLINE}
    assert len(place.ids.asked) == 1, "a page that is online takes one question"
    archive.update({named("Dataset", "e201215"): "ARCHIVED", named("Dataset", "e208945"): "RESTORING"})
    page = await port.search(SearchQuery(limit=100), reader("nbour"))
    told = {each.title: each.state.value for each in page.datasets if each.state is not ArchiveState.ONLINE}
    assert told == {"e201215": "ARCHIVED", "e208945": "RESTORING"}
    pid = next(each.pid for each in page.datasets if each.title == "e201215")
    assert (await port.get(pid, reader("nbour"))).state is ArchiveState.ARCHIVED
    assert len((await port.search(SearchQuery(), reader("nbour"))).datasets) == 9


REFUSALS = [
    Response("<html>Bad gateway</html>", 502), Response('{"code":"InsufficientPrivilegesException","message":"no"}', 403),
    Response("[]", 400), Response('{"code":"NotFoundException","message":"gone"}', 404), Response("", 302),
]  # fmt: skip
NO_STATES = [
    PlainTextResponse("<html>ONLINE</html>"), PlainTextResponse("MAYBE"), PlainTextResponse(""), PlainTextResponse("online"),
    PlainTextResponse("x" * 100_000), Response(b"\xff\xfe"), Response("", 204),
]  # fmt: skip


@pytest.mark.parametrize("instead", [*REFUSALS, *NO_STATES])
async def test_what_an_archive_does_not_say_is_unknown_and_never_online(
    place: Place, port: IcatCatalogue, instead: Response
) -> None:
    place.instead = instead
    page = await port.search(SearchQuery(limit=100), reader("nbour"))
    assert len(page.datasets) == 9
    assert {each.state for each in page.datasets} == {ArchiveState.UNKNOWN}


@pytest.mark.parametrize("instead", REFUSALS)
async def test_a_restore_that_is_refused_is_told_in_our_words(
    place: Place, port: IcatCatalogue, instead: Response
) -> None:
    place.instead = instead
    page = await port.search(SearchQuery(limit=1), reader("nbour"))
    with pytest.raises((BackendError, NotFound)) as refused:
        await port.restore(page.datasets[0].pid, reader("nbour"))
    assert not {"html", "gone"} & set(refused.value.message.replace("<", " ").split())


async def test_an_archive_that_hangs_holds_nobody_up_for_long(place: Place) -> None:
    place.halts = True
    async with place.adapter(ids_timeout_s=0.1) as port:
        found = await asyncio.wait_for(port.search(SearchQuery(limit=100), reader("nbour")), 10)
        assert {each.state for each in found.datasets} == {ArchiveState.UNKNOWN}
    place.halts = False


async def test_a_session_that_is_over_is_opened_anew_for_the_archive_too(
    place: Place, port: IcatCatalogue
) -> None:
    pid = (await port.search(SearchQuery(), reader("nbour"))).datasets[0].pid
    client = port._client
    place.ids.icat.sessions.clear()
    assert await client.session() not in place.ids.icat.sessions
    assert port._ids is not None
    assert (await port._ids.states([int(pid)]))[int(pid)] is ArchiveState.ONLINE


async def test_a_restore_is_asked_for_by_who_may_read_the_dataset_alone(place: Place, port: IcatCatalogue) -> None:
    number = place.ids.icat.named("Dataset", "e201215")
    pid = f"{number:012d}"
    place.ids.archive[number] = "ARCHIVED"
    for who in (reader("ahau"), STRANGER, reader("ahau", "08100122-EF")):
        with pytest.raises(NotFound):
            await port.restore(pid, who)
    with pytest.raises(NotFound):
        await port.restore("1 OR 1", reader("jdoe"))
    assert place.ids.archive == {number: "ARCHIVED"}
    assert [verb for _, verb in place.ids.asked if verb == "restore"] == []
    for _ in range(2):
        await port.restore(pid, reader("jdoe"))
        assert (await port.get(pid, reader("jdoe"))).state is ArchiveState.RESTORING
    del place.ids.archive[number]
    assert (await port.get(pid, reader("jdoe"))).state is ArchiveState.ONLINE


async def test_without_a_data_service_states_are_unknown_and_nothing_is_restored(place: Place) -> None:
    async with place.adapter(ids_url=None) as port:
        (first, *_) = (await port.search(SearchQuery(), reader("jdoe"))).datasets
        assert first.state is ArchiveState.UNKNOWN
        with pytest.raises(Unsupported):
            await port.restore(first.pid, reader("jdoe"))
        assert [fault.setting for fault in port.faults() if not fault.fatal] == ["ids_url"]


# --- settings


@pytest.mark.parametrize("more", [
    {"url": "http://icat.example.eu/icat"}, {"url": "https://u:p@icat.example.eu/icat"}, {"url": "icat.example.eu"},
    {"ids_url": "http://ids.example.eu/ids"}, {"url": "https://icat.example.eu/icat?x=1"}, {"people": "a/b"}, {"people": None},
    {"authenticator": "simple/root"}, {"zone": "Mars/Base"}, {"zone": "../etc/passwd"}, {"proposal": "title"}, {"folder": "../{proposal}"},
    {"folder": "data"}, {"instrument": "id"}, {"timeout_s": 0}, {"password": "in the clear"}, {"anyone": ""},
])  # fmt: skip
def test_settings_that_cannot_be_are_refused_without_their_values(tmp_path: Path, more: dict[str, Any]) -> None:
    settings("https://icat.example.eu", tmp_path)
    with pytest.raises(ValidationError) as refused:
        settings("https://icat.example.eu", tmp_path, **more)
    assert "in the clear" not in str(refused.value)


def test_faults_name_the_setting_and_the_mend(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    good = adapter("https://icat.example.eu", tmp_path)
    assert list(good.faults()) == []
    (tmp_path / "password").chmod(0o644)
    assert [(fault.setting, fault.fatal) for fault in good.faults()] == [("password_file", True)]
    bad = adapter(
        "https://icat.example.eu",
        tmp_path,
        password_file=tmp_path / "none",
        ca_file="ca.pem",
        root=tmp_path / "none",
    )
    assert [fault.setting for fault in bad.faults()] == ["password_file", "ca_file", "root"]


async def test_an_open_password_file_is_an_outage_and_nothing_is_sent(
    place: Place, port: IcatCatalogue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (place.folder / "password").chmod(0o644)
    with pytest.raises(BackendUnavailable):
        await port.search(SearchQuery(), STRANGER)
    assert place.ids.icat.sessions == {}
    (place.folder / "password").chmod(0o600)
    await port.search(SearchQuery(), STRANGER)
    (session,) = place.ids.icat.sessions
    assert session not in caplog.text
    assert "correct horse" not in caplog.text
