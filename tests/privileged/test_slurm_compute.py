"""The compute suite over Slurm."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from facility_agent.testing.compute_contract import ComputeContract, ComputeWorld
from tests.contracts.worlds import WORLDS

pytestmark = pytest.mark.needs("root", "slurm")


class TestSlurmCompute(ComputeContract):
    @pytest.fixture
    async def world(self, tmp_path: Path) -> AsyncIterator[ComputeWorld]:
        assert os.getuid() != 0, "the agent is not root"
        async with WORLDS["parasol.compute"]["slurm"](tmp_path) as world:
            yield world
