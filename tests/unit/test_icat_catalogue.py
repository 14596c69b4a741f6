"""The adapter as a site sets it up: whose eyes it sees with, and its settings."""

from __future__ import annotations

import logging
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from facility_agent.adapters.catalogue.icat_catalogue import IcatCatalogue
from facility_agent.adapters.catalogue.icat_restoring import RestorableIcat
from facility_agent.adapters.catalogue.icat_settings import IcatSettings
from facility_agent.plugins import find
from facility_agent.ports.catalogue import STRANGER, Reader
from shared.catalogue import ProposalQuery, SearchQuery
from shared.errors import BackendUnavailable, InvalidRequest, NotFound
from tests.components import ROOT
from tests.contracts.icat_worlds import adapter, settings
from tests.icat_place import Place, place, port, reader

__all__ = ["place", "port"]

pytestmark = pytest.mark.needs("icat-data")


async def titles(port: IcatCatalogue, who: Reader) -> set[str]:
    return {each.title for each in (await port.search(SearchQuery(limit=100), who)).datasets}


async def test_a_person_is_their_accounts_user_and_a_stranger_is_anyone(port: IcatCatalogue) -> None:
    assert [len(await titles(port, who)) for who in (reader("jdoe"), STRANGER, reader("nobody"))] == [6, 1, 1]
    assert (await port.open_proposals(), await port.instruments()) == (set(), ())
    with pytest.raises(NotFound):
        await port.get((await port.search(SearchQuery(), reader("jdoe"))).datasets[-1].pid, STRANGER)


async def test_proposals_of_the_accounts_file_do_not_widen_what_icat_shows(
    place: Place, port: RestorableIcat
) -> None:
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
    assert place.ids.restores == []


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


def test_the_example_of_the_operators_page_is_a_good_one() -> None:
    page = (ROOT / "docs" / "facility.md").read_text()
    example = tomllib.loads(page.partition("## ICAT\n\n```toml\n")[2].partition("```")[0])["catalogue"]
    plugin = find("catalogue", example["adapter"])
    assert plugin.settings is IcatSettings
    assert plugin.settings.model_validate(example["icat"]).fields() == IcatSettings(
        url="https://x/icat", username="x", password_file=Path("x"), people=""
    ).fields()  # fmt: skip


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
