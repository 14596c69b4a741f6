"""What `facility-agent check` and its probes say of people's own sessions at a catalogue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from facility_agent.check import Finding, problems
from facility_agent.probing.results import State
from tests import probing_scene as scene
from tests.contracts import icat_worlds
from tests.icat_tokens import PLUGIN, trusting
from tests.probing_scene import configured, of, probed
from tests.standins.icat import Icat, Ids, build
from tests.standins.serving import serving
from tests.unit.test_facility_config import folder, loaded  # noqa: F401 (a fixture)

SIGN_ON = '\n[gateway.sign_on]\nissuer = "https://sso.example.org"\nclient_id = "x"\nclient_secret_file = "umbrella.secret"\n'
OWN = f'person_session = "{PLUGIN}"\n'
REQUIRED = OWN + "person_session_required = true\n"


def about_tokens(folder: Path) -> list[Finding]:  # noqa: F811
    return [f for f in problems(loaded(folder)) if "person_session" in f.key or "token" in f.key]


@pytest.mark.parametrize(("more", "fatal"), [(OWN, False), (REQUIRED, True)])
def test_tokens_need_a_sign_on_to_come_from(folder: Path, more: str, fatal: bool) -> None:  # noqa: F811
    configured(folder, scene.icat("http://127.0.0.1:9", folder) + more)
    (finding,) = about_tokens(folder)
    assert (finding.key, finding.fatal) == ("catalogue.icat.person_session", fatal)
    assert "[gateway.sign_on]" in finding.mend
    with (folder / "agent.toml").open("a") as file:
        file.write(SIGN_ON + 'token_scope = "icat"\n')
    assert about_tokens(folder) == []


@pytest.mark.parametrize("setting", ['token_scope = "icat"', 'token_audience = "icat"'])
def test_tokens_that_nobody_takes_are_a_warning(folder: Path, setting: str) -> None:  # noqa: F811
    with (folder / "agent.toml").open("a") as file:
        file.write(f"{SIGN_ON}{setting}\n")
    (finding,) = about_tokens(folder)
    assert (finding.key, finding.fatal) == ("gateway.sign_on.token_scope", False)


@asynccontextmanager
async def probing(folder: Path, more: str, world: Icat) -> AsyncIterator[dict[State, dict[str, str]]]:  # noqa: F811
    """What probing says of an ICAT."""
    (folder / "data" / "P-open").mkdir(exist_ok=True)
    async with serving(build(world, Ids(world))) as base:
        found = await probed(configured(folder, scene.icat(base, folder) + more), "asmith")
        yield {state: of(found, state) for state in State}


async def test_a_probe_says_that_icat_takes_tokens(folder: Path) -> None:  # noqa: F811
    world = trusting(icat_worlds.empty())
    async with probing(folder, OWN, world) as found:
        assert "catalogue.icat own sessions" in found[State.OK]
        assert any(name.startswith("catalogue.icat as asmith") for name in found[State.OK])
    assert {user for user, _ in world.asked} == {"simple/parasol"}


async def test_a_probe_says_that_icat_has_no_such_authenticator_and_goes_on(folder: Path) -> None:  # noqa: F811
    async with probing(folder, OWN, icat_worlds.empty()) as found:
        said = found[State.WARNING]["catalogue.icat own sessions"]
        assert f"/properties lists no authenticator {PLUGIN}" in said
        assert "catalogue.icat search" in found[State.OK]
        assert not found[State.FAILED]


async def test_where_an_own_session_is_required_the_lack_of_it_fails_and_nobody_is_read_as(
    folder: Path,  # noqa: F811
) -> None:
    async with probing(folder, REQUIRED, icat_worlds.empty()) as found:
        assert "catalogue.icat own sessions" in found[State.FAILED]
        assert "catalogue.icat as asmith" in found[State.UNTRIED]
        assert "catalogue.icat search" in found[State.OK], "strangers are answered"
