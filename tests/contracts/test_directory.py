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

NEEDS = {"ldap": "slapd", "nss": "user-namespaces"}
NAMES = [
    pytest.param(name, marks=pytest.mark.needs(NEEDS[name]) if name in NEEDS else ())
    for name in sorted(WORLDS["parasol.accounts"])
]


@pytest.fixture(params=NAMES)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AccountsWorld]:
    async with WORLDS["parasol.accounts"][request.param](tmp_path) as world:
        yield world


class TestDirectory(DirectoryContract):
    pass


class TestSignOn(SignOnContract):
    @pytest.fixture(params=[each for each in NAMES if each.values != ("nss",)])
    async def world(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AccountsWorld]:
        async with WORLDS["parasol.accounts"][request.param](tmp_path) as world:
            yield world


class TestAccessRules(AccessRulesContract):
    pass
