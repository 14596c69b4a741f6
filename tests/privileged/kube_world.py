"""The compute suite's place on a real cluster."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from facility_agent.ports.compute import ComputeBackend, StartSpec
from facility_agent.testing.compute_contract import ComputeWorld
from tests.contracts.compute_worlds import results_of, task_spec
from tests.privileged.kube_cluster import running_cluster
from tests.privileged.kube_site import SMALLER, Gate, KubeSite, kube_site
from tests.privileged.site import as_root


class KubernetesWorld(ComputeWorld):
    """Agents in one namespace, each with a label of its own."""

    def __init__(self, site: KubeSite, gate: Gate) -> None:
        self.site, self.gate, self.account = site, gate, site.account
        self.patience_s, self.processed = site.patience_s, site.folder / "processed"
        with as_root():
            self.processed.mkdir(mode=0o770)
            os.chown(self.processed, self.account.uid, self.account.groups[0])
            self.processed.chmod(0o2770)
        self.backend = self.reopened()

    @property
    def _shown(self) -> dict[str, Any]:
        return {"volumes": [{"folder": str(self.processed), "kind": "host_path"}]}

    def spec(self) -> StartSpec:
        return self.site.spec()

    def doomed(self) -> StartSpec:
        return self.site.spec(command=("/no/such/program",))

    def task(self, code: int | None) -> StartSpec:
        made = task_spec(self.processed, code, "/usr/bin/python3", flavour=SMALLER, variables=())
        made = replace(made, environment="server")
        self.site.started.append(made)
        return made

    def results(self, spec: StartSpec) -> Mapping[str, str]:
        with as_root():
            return results_of(spec)

    def reopened(self) -> ComputeBackend:
        return self.site.backend("mine", **self._shown)

    def stranger(self) -> ComputeBackend:
        return self.site.backend("theirs", **self._shown)

    def running(self, workspace_id: str) -> int:
        return self.site.alive(workspace_id)

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
