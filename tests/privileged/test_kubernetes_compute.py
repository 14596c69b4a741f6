"""The compute suite over a real cluster, with exactly the rights of `deploy/agent/kubernetes-rbac.yaml`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from facility_agent.testing.compute_contract import ComputeContract, ComputeWorld
from tests.contracts.worlds import WORLDS

pytestmark = pytest.mark.needs("root", "kubernetes")


@pytest.mark.usefixtures("cluster")
class TestKubernetesCompute(ComputeContract):
    @pytest.fixture
    async def world(self, tmp_path: Path) -> AsyncIterator[ComputeWorld]:
        assert os.getuid() != 0, "the agent is not root"
        async with WORLDS["parasol.compute"]["kubernetes"](tmp_path) as world:
            yield world
