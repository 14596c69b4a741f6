"""A namespace for each account, with exactly the rights of `deploy/agent/kubernetes-rbac-accounts.yaml`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from facility_agent.adapters.compute.kubernetes import KubernetesCompute
from facility_agent.adapters.compute.kubernetes_api import KubernetesApi
from facility_agent.ports.compute import RunState
from facility_agent.testing.compute_contract import status
from facility_agent.testing.patience import eventually
from shared.errors import BackendError
from tests.privileged.kube_cluster import Cluster
from tests.privileged.kube_image import UID
from tests.privileged.kube_site import ENDS_S, KINDS, KubeSite, kube_site
from tests.waiting import until

pytestmark = pytest.mark.needs("root", "kubernetes")
AGENTS, THEIRS = "parasol-agent-accounts", f"parasol-{UID}"
EACH = {"account_namespaces": "parasol-{uid}"}


@pytest.fixture
async def site(cluster: Cluster) -> AsyncIterator[KubeSite]:
    cluster.apply("kubernetes-rbac-accounts.yaml")
    if f"namespace/{THEIRS}" not in cluster.kubectl("get", "namespaces", "-o", "name").split():
        cluster.kubectl("create", "namespace", THEIRS)
        rights = ("--clusterrole=parasol-agent-workspaces", f"--serviceaccount=parasol:{AGENTS}")
        cluster.kubectl("-n", THEIRS, "create", "rolebinding", "parasol-agent", *rights)
        until(lambda: "default" in cluster.kubectl("-n", THEIRS, "get", "serviceaccounts"), "it takes pods")
    async with kube_site(cluster, who=AGENTS) as site:
        site.namespace = THEIRS
        yield site


def there(site: KubeSite, workspace_id: str, namespace: str) -> set[str]:
    """The kinds of what is there of a workspace."""
    names = site.cluster.kubectl("-n", namespace, "get", ",".join(KINDS), "-o", "name").split()
    return {name.partition("/")[0] for name in names if name.endswith(f"/ws-{workspace_id}")}


async def runs(site: KubeSite, backend: KubernetesCompute, handle: str) -> None:
    async def look() -> bool:
        seen = (await backend.inspect([handle]))[handle]
        assert seen.state is not RunState.GONE, f"it will not run: {seen}"
        return seen.state is RunState.RUNNING

    await eventually(look, "it runs", site.patience_s)


async def test_an_accounts_workspaces_are_in_its_namespace_and_are_found_there_again(site: KubeSite) -> None:
    first, spec = site.backend(**EACH), site.spec()
    handle = await first.start(spec, site.account)
    await runs(site, first, handle)
    kinds = {"pod", "secret", "networkpolicy.networking.k8s.io"}
    assert (there(site, handle, THEIRS), there(site, handle, "parasol")) == (kinds, set())
    endpoint = await first.endpoint(handle)
    assert endpoint is not None
    assert await status(endpoint) == 200
    await first.__aexit__()

    shared = site.backend()  # the settings of a site that has gone back to one namespace
    assert (await shared.inspect([handle]))[handle].state is RunState.UNKNOWN, "out of sight is not gone"
    assert await shared.list_owned() == {handle: handle}
    assert await shared.start(spec, site.account) == handle
    assert there(site, handle, "parasol") == set()
    await shared.__aexit__()

    for record in site.folder.glob("mine/*.json"):
        record.unlink()
    again = site.backend(**EACH)
    assert await again.list_owned() == {handle: handle}
    assert await again.start(spec, site.account) == handle
    await runs(site, again, handle)
    assert len(site.pods(handle)) == 1
    await again.stop(handle)
    assert site.alive(handle) == 0

    async def nothing_is_left() -> bool:
        return not there(site, handle, THEIRS)

    await eventually(nothing_is_left, "nothing of it is left", ENDS_S)
    assert (await again.inspect([handle]))[handle].state is RunState.GONE


async def test_an_account_without_a_namespace_is_refused(site: KubeSite) -> None:
    backend, spec = site.backend(**EACH), site.spec()
    with pytest.raises(BackendError, match="may not do this"):
        await backend.start(spec, replace(site.account, uid=UID + 1))
    assert (await backend.inspect([spec.workspace_id]))[spec.workspace_id].state is RunState.GONE
    assert await backend.list_owned() == {}
    everywhere = site.cluster.kubectl("get", ",".join(KINDS), "--all-namespaces", "-o", "name")
    assert spec.workspace_id not in everywhere


ATTEMPTS = {
    "read secrets": ("GET", f"/api/v1/namespaces/{THEIRS}/secrets"),
    "read secrets anywhere": ("GET", "/api/v1/secrets"),
    "enter a workspace": ("POST", f"/api/v1/namespaces/{THEIRS}/pods/any/exec"),
    "one pod elsewhere": ("GET", "/api/v1/namespaces/kube-system/pods/any"),
    "a pod's output elsewhere": ("GET", "/api/v1/namespaces/kube-system/pods/any/log"),
    "make a pod where it is not bound": ("POST", "/api/v1/namespaces/parasol/pods"),
    "remove a pod where it is not bound": ("DELETE", "/api/v1/namespaces/kube-system/pods/any"),
    "make a namespace": ("POST", "/api/v1/namespaces"),
}  # fmt: skip


@pytest.mark.parametrize("attempt", ATTEMPTS)
async def test_the_agent_may_not(site: KubeSite, attempt: str) -> None:
    method, path = ATTEMPTS[attempt]
    api = KubernetesApi(site.kubeconfig)
    try:
        with pytest.raises(BackendError, match="may not do this"):
            await api.ask(method, path, body={} if method == "POST" else None)
    finally:
        await api.close()
