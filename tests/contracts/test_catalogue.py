"""The catalogue suite over every adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from facility_agent.testing.catalogue_contract import CatalogueContract
from facility_agent.testing.catalogue_world import CatalogueWorld
from tests.contracts.worlds import WORLDS


class TestCatalogue(CatalogueContract):
    @pytest.fixture(params=sorted(WORLDS["parasol.catalogue"]))
    async def world(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CatalogueWorld]:
        async with WORLDS["parasol.catalogue"][request.param](tmp_path) as world:
            yield world
