"""The suites of the three account ports over every adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from facility_agent.testing.access_rules_contract import AccessRulesContract
from facility_agent.testing.accounts_world import AccountsWorld
from facility_agent.testing.directory_contract import DirectoryContract
from facility_agent.testing.sign_on_contract import SignOnContract
from tests.contracts.worlds import WORLDS


@pytest.fixture(params=sorted(WORLDS["parasol.accounts"]))
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AccountsWorld]:
    async with WORLDS["parasol.accounts"][request.param](tmp_path) as world:
        yield world


class TestDirectory(DirectoryContract):
    pass


class TestSignOn(SignOnContract):
    pass


class TestAccessRules(AccessRulesContract):
    pass
