"""The compute suite over Slurm, by its commands and by slurmrestd."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from facility_agent.testing.compute_contract import ComputeContract, ComputeWorld
from tests.contracts.worlds import WORLDS
from tests.privileged.slurm_world import WAYS, slurm_rest

pytestmark = pytest.mark.needs("root", "slurm")


class TestSlurmCompute(ComputeContract):
    @pytest.fixture(params=WAYS)
    async def world(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ComputeWorld]:
        assert os.getuid() != 0, "the agent is not root"
        opened = {"commands": WORLDS["parasol.compute"]["slurm"], "rest": slurm_rest}[request.param]
        async with opened(tmp_path) as world:
            yield world
