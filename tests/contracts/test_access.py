"""The suite of access rules over those that are not the accounts' own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from facility_agent.testing.access_rules_contract import AccessRulesContract
from facility_agent.testing.accounts_world import AccountsWorld
from tests.contracts.worlds import WORLDS


@pytest.fixture(params=sorted(WORLDS["parasol.access"]))
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AccountsWorld]:
    async with WORLDS["parasol.access"][request.param](tmp_path) as world:
        yield world


class TestAccess(AccessRulesContract):
    pass
