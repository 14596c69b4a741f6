"""The compute suite over every adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from facility_agent.testing.compute_contract import ComputeContract, ComputeWorld
from tests.contracts.worlds import PRIVILEGED, WORLDS

ORDINARY = pytest.mark.needs("ordinary-user")
NAMES = [
    pytest.param(name, marks=ORDINARY if name == "process" else ())
    for name in sorted(WORLDS["parasol.compute"].keys() - PRIVILEGED)
]


class TestCompute(ComputeContract):
    @pytest.fixture(params=NAMES)
    async def world(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ComputeWorld]:
        async with WORLDS["parasol.compute"][request.param](tmp_path) as world:
            yield world
