"""The compute suite over a real cluster, with exactly the rights of `deploy/agent/kubernetes-rbac.yaml`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from facility_agent.ports.compute import ComputeBackend, StartSpec
from facility_agent.testing.compute_contract import ComputeContract, ComputeWorld
from tests.privileged.kube_site import Cluster, Gate, KubeSite, kube_site

pytestmark = pytest.mark.needs("root", "kubernetes")


class KubernetesWorld(ComputeWorld):
    """Agents in one namespace, each with a label of its own."""

    def __init__(self, site: KubeSite, gate: Gate) -> None:
        self.site, self.gate, self.account = site, gate, site.account
        self.backend = self.reopened()

    def spec(self) -> StartSpec:
        return self.site.spec()

    def doomed(self) -> StartSpec:
        return self.site.spec(command=("/no/such/program",))

    def reopened(self) -> ComputeBackend:
        return self.site.backend("mine")

    def stranger(self) -> ComputeBackend:
        return self.site.backend("theirs")

    def running(self, workspace_id: str) -> int:
        return sum(pod["status"]["phase"] == "Running" for pod in self.site.pods(workspace_id))

    @asynccontextmanager
    async def blinded(self, workspace_id: str) -> AsyncIterator[None]:
        self.gate.shut()
        yield
        self.gate.open = True


class TestKubernetesCompute(ComputeContract):
    @pytest.fixture
    async def world(self, cluster: Cluster) -> AsyncIterator[ComputeWorld]:
        assert os.getuid() != 0, "the agent is not root"
        gate = Gate(cluster.server)
        async with kube_site(cluster, await gate.start()) as site:
            yield KubernetesWorld(site, gate)
        await gate.stop()
