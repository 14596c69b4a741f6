"""[access], [[places]] and an archive in the configuration: what is wired by them, and mistakes in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from facility_agent.adapters.access.user_office import UserOffice
from facility_agent.adapters.catalogue.scicat import Scicat
from facility_agent.adapters.catalogue.scicat_restoring import RestorableScicat
from facility_agent.composition import adapters
from facility_agent.config import ConfigError
from facility_agent.core.access import Both, CatalogueRules
from facility_agent.description import Description
from facility_agent.testing.catalogue_world import ADA
from tests.unit.test_facility_config import change, folder, found, loaded, mistake  # noqa: F401 (a fixture)

OFFICE = """[access]
adapter = "user_office"
[access.user_office]
url = "https://office.example"
username = "parasol"
password_file = "office.password"

[compute]
adapter"""
SCICAT = """[catalogue]
adapter = "scicat"
[catalogue.scicat]
url = "https://scicat.example"
username = "parasol"
password_file = "scicat.password"
"""


ICAT = """[catalogue]
adapter = "icat"
[catalogue.icat]
url = "https://icat.example/icat"
authenticator = "simple"
username = "parasol"
password_file = "icat.password"
people = "ldap"
zone = "Europe/Paris"
"""


def access(adapter: str, more: str = "") -> tuple[str, str]:
    return "[compute]\nadapter", f'[access]\nadapter = "{adapter}"\n{more}\n[compute]\nadapter'


def rules(folder: Path) -> Any:  # noqa: F811
    located = loaded(folder)
    return adapters(located).rules(located.config.access["adapter"])


async def test_access_is_the_accounts_word_unless_another_is_named(folder: Path) -> None:  # noqa: F811
    made = adapters(loaded(folder))
    assert made.rules("accounts") is made.accounts
    assert made.access is None


async def test_access_may_be_the_catalogues_word_on_accounts_that_hold(folder: Path) -> None:  # noqa: F811
    change(folder, access("catalogue"))
    made = rules(folder)
    assert isinstance(made, Both)
    assert isinstance(made._office, CatalogueRules)
    assert not await made.may_use(ADA), "there is no such account in the file"
    assert await made.proposals(ADA) == frozenset()


def test_access_is_never_the_word_of_a_catalogue_that_shows_more_than_data(folder: Path) -> None:  # noqa: F811
    change(
        folder,
        ('[catalogue]\nadapter = "nexus_folder"\n[catalogue.nexus_folder]\n', ICAT + "# "),
        access("catalogue"),
    )
    text = (folder / "agent.toml").read_text()
    (folder / "agent.toml").write_text(text.replace("\nopen_proposals", "\n# open_proposals"))
    with pytest.raises(
        ConfigError, match=r"^access\.adapter: this catalogue shows proposals to people who may not"
    ):
        adapters(loaded(folder))


def test_access_may_be_a_user_offices_word(folder: Path) -> None:  # noqa: F811
    change(folder, ("[compute]\nadapter", OFFICE))
    made = rules(folder)
    assert isinstance(made, Both)
    assert isinstance(made._office, UserOffice)
    assert "office.password" in found(folder)["access.user_office.password_file"].what


@pytest.mark.parametrize(
    ("adapter", "more", "said"),
    [
        ("nobody", "", "access.adapter: there is no access adapter 'nobody'; installed: user_office"),
        ("accounts", "[access.accounts]\nx = 1\n", "access.accounts: adapter = \"accounts\" has no settings of its own"),
        ("user_office", "", "access.user_office: url: is missing"),
        ("user_office", '[access.user_office]\nurl = "http://office.example"\n', "access.user_office: url: https, or http"),
    ],
)  # fmt: skip
def test_a_mistake_in_access_is_named(folder: Path, adapter: str, more: str, said: str) -> None:  # noqa: F811
    change(folder, access(adapter, more))
    assert mistake(folder).startswith(said)


def places(*lines: str) -> tuple[str, str]:
    return "[compute]\nadapter", "\n".join(("[[places]]", *lines, "", "[compute]", "adapter"))


def test_a_mistake_in_places_is_named(folder: Path) -> None:  # noqa: F811
    change(folder, places('root = "/nowhere"', 'path = "{instrument}"'))
    with pytest.raises(ConfigError, match=r"places\.0: a place names its proposal"):
        loaded(folder)


def test_a_root_that_is_not_there_is_found(folder: Path) -> None:  # noqa: F811
    change(folder, places(f'root = "{folder / "nowhere"}"', 'path = "{proposal}"'))
    assert found(folder)["places.root"].fatal
    (folder / "nowhere").mkdir()
    assert "places.root" not in found(folder)


@pytest.mark.parametrize("restores", [False, True])
async def test_a_scicat_restores_only_when_it_is_told_how(folder: Path, restores: bool) -> None:  # noqa: F811
    job = 'retrieve_job = "retrieve"\n# ' if restores else "# "
    change(folder, ('[catalogue]\nadapter = "nexus_folder"\n[catalogue.nexus_folder]\n', SCICAT + job))
    text = (folder / "agent.toml").read_text()
    (folder / "agent.toml").write_text(text.replace("\nopen_proposals", "\n# open_proposals"))
    located = loaded(folder)
    made = adapters(located)
    assert isinstance(made.catalogue, Scicat)
    assert isinstance(made.catalogue, RestorableScicat) is restores
    told = Description(located.config, made.catalogue, made.compute)()
    assert ("restore" in {capability.kind for capability in told.capabilities}) is restores
