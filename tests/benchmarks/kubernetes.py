"""Launch-to-ready of the adapter `kubernetes` against the same pod made by bare calls of the API, interleaved. Needs root and a cluster."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress

from facility_agent.adapters.compute.kubernetes import KubernetesCompute
from facility_agent.adapters.compute.kubernetes_api import KubernetesApi
from facility_agent.ports.compute import Endpoint, RunState, StartSpec
from facility_agent.testing.compute_contract import status
from facility_agent.testing.patience import eventually
from tests.benchmarks.measure import Figure, median
from tests.components import missing
from tests.privileged.kube_cluster import AT_ONCE, Cluster, running_cluster
from tests.privileged.kube_site import KubeSite, kube_site
from tests.privileged.site import as_agent
from tests.waiting import until

ROUNDS = 5


def run() -> list[Figure]:
    """The median of both."""
    if os.getuid() != 0 or missing("kubernetes"):
        print("kubernetes: not measured; it needs root and a cluster")
        return []
    as_agent()
    try:
        with running_cluster() as cluster:
            hand, ours = asyncio.run(_rounds(cluster))
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
    value, floor = median(ours), median(hand)
    note = f"adds {1000 * (value - floor):.0f} ms"
    against, goal = "the same pod by bare calls", "+ <= 0.25 s"
    return [Figure("launch to ready, Kubernetes", value, floor, "s", against, goal, value - floor <= 0.25, note)]


async def _rounds(cluster: Cluster) -> tuple[list[float], list[float]]:
    hand, ours = list[float](), list[float]()
    async with kube_site(cluster) as site:
        backend, api = site.backend(), KubernetesApi(site.kubeconfig)
        for _ in range(ROUNDS):
            hand.append(await _by_hand(site, backend, api))
            ours.append(await _by_parasol(site, backend))
        await api.close()
    return hand, ours


async def _by_parasol(site: KubeSite, backend: KubernetesCompute) -> float:
    spec, begun = site.spec(), time.perf_counter()
    handle = await backend.start(spec, site.account)

    async def runs() -> bool:
        return (await backend.inspect([handle]))[handle].state is RunState.RUNNING

    await eventually(runs, "it runs", 60)
    took = time.perf_counter() - begun
    _removed(site, spec)
    return took


async def _by_hand(site: KubeSite, backend: KubernetesCompute, api: KubernetesApi) -> float:
    """The same three objects, made one after another; its address asked for until it answers."""
    spec = site.spec()
    plan = backend._maker.planned(spec, site.account, [], known=False)
    headers = (("Authorization", f"token {spec.secret}"),)
    begun = time.perf_counter()
    for path, wanted in plan:
        await api.ask("POST", path, body=wanted)
    pod = f"{plan[-1][0]}/{plan[-1][1]['metadata']['name']}"

    async def answers() -> bool:
        host = (await api.ask("GET", pod))["status"].get("podIP")
        with suppress(OSError):
            return bool(host) and await status(Endpoint(None, headers, None, (host, 8888))) == 200
        return False

    await eventually(answers, "it answers", 60)
    took = time.perf_counter() - begun
    _removed(site, spec)
    return took


def _removed(site: KubeSite, spec: StartSpec) -> None:
    """So that its CPUs are free for the next."""
    site.cluster.kubectl("-n", site.namespace, "delete", "pod", f"ws-{spec.workspace_id}", *AT_ONCE)
    until(lambda: not site.pods(spec.workspace_id), "it is removed")
