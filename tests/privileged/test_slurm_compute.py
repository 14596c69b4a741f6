"""The compute suite over Slurm, by its commands and by slurmrestd."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from facility_agent.testing.compute_contract import ComputeContract, ComputeWorld
from tests.contracts.worlds import WORLDS

pytestmark = pytest.mark.needs("root", "slurm")


class TestSlurmCompute(ComputeContract):
    @pytest.fixture(params=["slurm", pytest.param("slurm by slurmrestd", marks=pytest.mark.needs("slurmrestd"))])
    async def world(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ComputeWorld]:
        assert os.getuid() != 0, "the agent is not root"
        async with WORLDS["parasol.compute"][request.param](tmp_path) as world:
            yield world
