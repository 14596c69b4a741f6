"""The compute suite's place on a real cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from facility_agent.ports.compute import ComputeBackend, StartSpec
from facility_agent.testing.compute_contract import ComputeWorld
from tests.privileged.kube_cluster import running_cluster
from tests.privileged.kube_site import Gate, KubeSite, kube_site


class KubernetesWorld(ComputeWorld):
    """Agents in one namespace, each with a label of its own."""

    def __init__(self, site: KubeSite, gate: Gate) -> None:
        self.site, self.gate, self.account = site, gate, site.account
        self.patience_s = site.patience_s
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


@asynccontextmanager
async def kubernetes(folder: Path) -> AsyncIterator[ComputeWorld]:
    """A fresh one, at the cluster that runs, else at one of its own; needs root."""
    with running_cluster() as cluster:
        gate = Gate(cluster.server)
        async with kube_site(cluster, await gate.start()) as site:
            yield KubernetesWorld(site, gate)
        await gate.stop()
