"""The compute suite over a real cluster, with exactly the rights of `deploy/agent/kubernetes-rbac.yaml`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from facility_agent.testing.compute_contract import ComputeContract, ComputeWorld
from tests.privileged.kube_cluster import Cluster
from tests.privileged.kube_world import world_of

pytestmark = pytest.mark.needs("root", "kubernetes")


class TestKubernetesCompute(ComputeContract):
    @pytest.fixture
    async def world(self, cluster: Cluster) -> AsyncIterator[ComputeWorld]:
        assert os.getuid() != 0, "the agent is not root"
        async with world_of(cluster) as world:
            yield world
