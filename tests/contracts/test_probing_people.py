"""Probes of accounts and access rules over every adapter: what is well is ok, what is away is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from facility_agent.probing.people import access, directory
from facility_agent.probing.results import Place, Result, State
from facility_agent.testing.accounts_world import AccountsWorld, Person
from tests.contracts.test_directory import NEEDS
from tests.contracts.worlds import WORLDS

EVERY = [
    pytest.param(group, name, marks=pytest.mark.needs(NEEDS[name]) if name in NEEDS else ())
    for group in ("parasol.accounts", "parasol.access")
    for name in sorted(WORLDS[group])
]


async def probed(world: AccountsWorld, username: str) -> list[Result]:
    found: list[Result] = []
    account, _ = await directory(world.directory, username, Place("accounts", found.append), 20)
    await access(world.rules, account, Place("access", found.append), 20)
    return found


@pytest.mark.parametrize(("group", "name"), EVERY)
async def test_a_source_that_is_well_is_ok_and_one_that_is_away_is_not(
    tmp_path: Path, group: str, name: str
) -> None:
    ada = Person()
    async with WORLDS[group][name](tmp_path) as world:
        world.put(ada)
        found = await probed(world, ada.username)
        assert {result.state for result in found} == {State.OK}, found
        assert [result.where for result in found] == [
            "accounts nobody", f"accounts {ada.username}", "access nobody", f"access {ada.username}",
        ]  # fmt: skip
        assert f"uid {world.expected(ada).uid}" in found[1].said
        assert found[3].said == "May come in, with P-1, P-2."
        unknown = await probed(world, "nobody-here")
        assert [r.where for r in unknown if r.state is State.FAILED] == ["accounts nobody-here"]
        with world.outage():
            away = [result for result in await probed(world, ada.username) if result.state is State.FAILED]
        assert away, "an outage is no absence"
        assert all(result.mend for result in away)
