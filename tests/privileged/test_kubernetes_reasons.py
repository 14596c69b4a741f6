"""Each way to fail on a real cluster has its own reason, and nothing of it is left."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from facility_agent.adapters.compute.kubernetes import KubernetesCompute
from facility_agent.adapters.compute.kubernetes_reasons import SENTENCES
from facility_agent.ports.compute import Mount, Observation, RunState, StartSpec
from facility_agent.testing.patience import eventually
from shared.errors import FlavourTooLarge, QuotaExceeded
from tests.privileged.kube_cluster import Cluster
from tests.privileged.kube_site import ENDS_S, SMALLER, KubeSite, kube_site

pytestmark = pytest.mark.needs("root", "kubernetes")


@pytest.fixture
async def site(cluster: Cluster) -> AsyncIterator[KubeSite]:
    assert os.getuid() != 0
    async with kube_site(cluster) as site:
        yield site


async def seen_as(
    backend: KubernetesCompute, handle: str, state: RunState, reason: str | None = None
) -> Observation:
    async def is_so() -> bool:
        seen = (await backend.inspect([handle]))[handle]
        assert state is RunState.GONE or seen.state is not RunState.GONE, f"it has ended: {seen}"
        return seen.state is state and reason in (None, seen.reason)

    await eventually(is_so, f"{state} {reason}", ENDS_S)
    return (await backend.inspect([handle]))[handle]


async def is_tidy(site: KubeSite, backend: KubernetesCompute, spec: StartSpec) -> None:
    async def nothing_is_left() -> bool:
        left = site.cluster.kubectl("-n", "parasol", "get", "pods,secrets,networkpolicies", "-o", "name")
        return f"ws-{spec.workspace_id}" not in left

    await eventually(nothing_is_left, "nothing of it is left", ENDS_S)
    assert spec.workspace_id not in await backend.list_owned()


MIB = 2**20
ENDS = [
    ("raise SystemExit(3)", {}, "EXITED", 3),
    ("import os; os.kill(os.getpid(), 9); os._exit(137)", {}, "KILLED", 137),
    # What is killed as soon as it has begun, containerd may not have watched yet: then nobody knows why.
    ("import time; time.sleep(2); x = b'x' * (400 * 2**20)", {}, "OUT_OF_MEMORY", 137),
    ("open('/workspace/x', 'wb').write(b'x' * (60 * 2**20)); import time; time.sleep(600)",  # a kubelet measures once in two minutes
     {"flavour": replace(SMALLER, storage=20 * MIB)}, "OUT_OF_STORAGE", None),
    ("", {"environment": "missing"}, "IMAGE_NOT_FOUND", None),
    ("", {"environment": "unnamed"}, "IMAGE_NAME_INVALID", None),
    ("", {"mounts": (Mount("p", Path("/data/none")),)}, "MOUNT_FAILED", None),
]  # fmt: skip


@pytest.mark.parametrize(("script", "changes", "reason", "code"), ENDS, ids=[end[2] for end in ENDS])
async def test_each_end_has_its_reason(
    site: KubeSite, script: str, changes: dict[str, object], reason: str, code: int | None
) -> None:
    images = {"missing": "docker.io/local/no-such-image:1", "unnamed": "Not An Image"}
    told = {name: {"image": image, "pull": "Never"} for name, image in images.items()}
    known = json.loads(site.settings().model_dump_json())["images"]
    backend = site.backend(images={**known, **told}, volumes=[{"folder": "/data", "kind": "host_path"}])
    spec = site.script(script, **changes)
    handle = await backend.start(spec, site.account)
    seen = await seen_as(backend, handle, RunState.GONE)
    assert (seen.reason, seen.message, seen.exit_code) == (reason, SENTENCES[reason], code)
    if reason != "OUT_OF_STORAGE":  # a kubelet takes half a minute more to let go of what it has evicted
        await is_tidy(site, backend, spec)
    again = site.backend()
    assert (await again.inspect([handle]))[handle] == seen, "it is remembered"
    assert await again.start(spec, site.account) == handle
    assert site.alive(handle) == 0


async def test_what_ends_by_itself_is_no_failure_and_its_output_is_kept(site: KubeSite) -> None:
    backend, spec = site.backend(), site.script("print('done and dusted')")
    handle = await backend.start(spec, site.account)
    seen = await seen_as(backend, handle, RunState.GONE)
    assert (seen.reason, seen.exit_code) == ("", 0)
    await is_tidy(site, backend, spec)
    assert "done and dusted" in await backend.logs(handle)


async def test_the_schedulers_sentence_is_told_and_it_goes_on_waiting(site: KubeSite) -> None:
    backend = site.backend(node_selector={"parasol/none": "such"}, grows=True)
    spec = site.spec()
    handle = await backend.start(spec, site.account)
    seen = await seen_as(backend, handle, RunState.QUEUED, "UNSCHEDULABLE")
    assert "0 of 1 nodes have room" in seen.message
    assert "no node of the right kind" in seen.message
    assert "parasol/none" not in seen.message
    await backend.stop(handle)
    await is_tidy(site, backend, spec)


async def test_a_size_beyond_every_node_is_refused(site: KubeSite) -> None:
    for flavour in (replace(SMALLER, cpus=10_000), replace(SMALLER, memory=2**50), replace(SMALLER, gpus=1)):
        spec, backend = site.spec(flavour=flavour), site.backend()
        with pytest.raises(FlavourTooLarge):
            await backend.start(spec, site.account)
        assert site.pods(spec.workspace_id) == []
    with pytest.raises(FlavourTooLarge):
        await site.backend(gpu_resource="example.com/gpu").start(
            site.spec(flavour=replace(SMALLER, gpus=1)), site.account
        )


async def test_the_clusters_own_quota_is_a_quota(site: KubeSite) -> None:
    backend, spec = site.backend(), site.spec()
    site.cluster.kubectl("-n", "parasol", "create", "quota", "none", "--hard=pods=0")

    async def is_in_force() -> bool:
        return bool(site.cluster.get("quota", "none").get("status", {}).get("hard"))

    try:
        await eventually(is_in_force, "the quota is in force")
        with pytest.raises(QuotaExceeded):
            await backend.start(spec, site.account)
    finally:
        site.cluster.kubectl("-n", "parasol", "delete", "quota", "none")
    await is_tidy(site, backend, spec)
    assert (await backend.inspect([spec.workspace_id]))[spec.workspace_id].reason == "QUOTA_EXCEEDED"


async def test_what_an_administrator_removes_is_removed(site: KubeSite) -> None:
    backend, spec = site.backend(), site.spec()
    handle = await backend.start(spec, site.account)
    await seen_as(backend, handle, RunState.RUNNING)
    await site.runs(handle)
    site.cluster.kubectl("-n", "parasol", "delete", "pod", f"ws-{handle}", "--wait=false")
    seen = await seen_as(backend, handle, RunState.GONE)
    assert (seen.reason, seen.exit_code) == ("REMOVED", None)
    await is_tidy(site, backend, spec)


async def test_what_was_removed_while_no_agent_ran_is_gone_and_not_started_again(site: KubeSite) -> None:
    first, spec = site.backend(), site.spec()
    handle = await first.start(spec, site.account)
    await seen_as(first, handle, RunState.RUNNING)
    await site.runs(handle)
    await first.__aexit__()
    site.cluster.kubectl("-n", "parasol", "delete", "pod", f"ws-{handle}", "--grace-period=1")
    second = site.backend()
    assert (await second.inspect([handle]))[handle].reason == "REMOVED"
    await second.start(spec, site.account)
    assert site.pods(spec.workspace_id) == []


async def test_a_crash_between_making_and_recording_is_found_by_its_name(site: KubeSite) -> None:
    first, spec = site.backend(), site.spec()
    handle = await first.start(spec, site.account)
    await seen_as(first, handle, RunState.RUNNING)
    await first.__aexit__()
    for record in (site.folder).glob("mine/*.json"):
        record.unlink()
    second = site.backend()
    assert await second.list_owned() == {handle: handle}
    assert await second.start(spec, site.account) == handle
    await seen_as(second, handle, RunState.RUNNING)
    assert len(site.pods(spec.workspace_id)) == 1
    endpoint = await second.endpoint(handle)
    assert endpoint is not None
    assert any(spec.secret in value for _, value in endpoint.headers)
