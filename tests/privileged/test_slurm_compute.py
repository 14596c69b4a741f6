"""The compute suite over Slurm."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from facility_agent.testing.compute_contract import ComputeContract
from tests.privileged.slurm_world import SlurmWorld, slurm_world

pytestmark = pytest.mark.needs("root", "slurm")


class TestSlurmCompute(ComputeContract):
    @pytest.fixture
    def world(self) -> Iterator[SlurmWorld]:
        assert os.getuid() != 0, "the agent is not root"
        with slurm_world() as world:
            yield world
