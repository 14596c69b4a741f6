"""The catalogue suite over every adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from facility_agent.testing.catalogue_contract import CatalogueContract
from facility_agent.testing.catalogue_world import CatalogueWorld, RestorableWorld
from facility_agent.testing.restorable_contract import RestorableContract
from tests.contracts.worlds import OTHER_WAYS, RESTORABLE, WORLDS


class TestCatalogue(CatalogueContract):
    @pytest.fixture(params=sorted(WORLDS["parasol.catalogue"] | OTHER_WAYS))
    async def world(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CatalogueWorld]:
        async with (WORLDS["parasol.catalogue"] | OTHER_WAYS)[request.param](tmp_path) as world:
            yield world


class TestRestorable(RestorableContract):
    @pytest.fixture(params=[*RESTORABLE, *OTHER_WAYS])
    async def world(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RestorableWorld]:
        async with (WORLDS["parasol.catalogue"] | OTHER_WAYS)[request.param](tmp_path) as world:
            yield world
