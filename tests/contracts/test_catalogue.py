"""The catalogue suite over every adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from facility_agent.testing.catalogue_contract import CatalogueContract
from facility_agent.testing.catalogue_world import CatalogueWorld, RestorableWorld
from facility_agent.testing.restorable_contract import RestorableContract
from tests.contracts.worlds import RESTORABLE, WORLDS


class TestCatalogue(CatalogueContract):
    @pytest.fixture(params=sorted(WORLDS["parasol.catalogue"]))
    async def world(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CatalogueWorld]:
        async with WORLDS["parasol.catalogue"][request.param](tmp_path) as world:
            yield world


class TestRestorable(RestorableContract):
    @pytest.fixture(params=RESTORABLE)
    async def world(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RestorableWorld]:
        async with WORLDS["parasol.catalogue"][request.param](tmp_path) as world:
            yield world
