"""What the agent's service account may not do: it is refused by the cluster, whatever the agent asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from facility_agent.adapters.compute.kubernetes_api import KubernetesApi
from shared.errors import BackendError
from tests.privileged.kube_cluster import Cluster
from tests.privileged.kube_site import KubeSite, kube_site

pytestmark = pytest.mark.needs("root", "kubernetes")
HERE, ROLES = "/api/v1/namespaces/parasol", "/apis/rbac.authorization.k8s.io/v1"
MORE = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "more"}, "rules": []}
ATTEMPTS = {
    "read secrets": ("GET", f"{HERE}/secrets", None),
    "read one secret": ("GET", f"{HERE}/secrets/any", None),
    "enter a workspace": ("POST", f"{HERE}/pods/any/exec", {}),
    "attach to a workspace": ("POST", f"{HERE}/pods/any/attach", {}),
    "reach a port of a pod": ("POST", f"{HERE}/pods/any/portforward", {}),
    "reach a pod through the server": ("GET", f"{HERE}/pods/any:8888/proxy/", None),
    "change a pod": ("PUT", f"{HERE}/pods/any", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "any"}}),
    "evict a pod": ("POST", f"{HERE}/pods/any/eviction", {}),
    "read network policies": ("GET", "/apis/networking.k8s.io/v1/namespaces/parasol/networkpolicies", None),
    "other namespaces' pods": ("GET", "/api/v1/namespaces/kube-system/pods", None),
    "all pods": ("GET", "/api/v1/pods", None),
    "other namespaces' secrets": ("GET", "/api/v1/namespaces/kube-system/secrets", None),
    "make a pod elsewhere": ("POST", "/api/v1/namespaces/kube-system/pods", {"apiVersion": "v1", "kind": "Pod"}),
    "make a token": ("POST", f"{HERE}/serviceaccounts/parasol-agent/token", {}),
    "read config maps": ("GET", f"{HERE}/configmaps", None),
    "read a quota": ("GET", f"{HERE}/resourcequotas", None),
    "one node": ("GET", "/api/v1/nodes/any", None),
    "a node's own interface": ("GET", "/api/v1/nodes/any/proxy/pods", None),
    "remove the namespace": ("DELETE", HERE, None),
    "give itself a role": ("POST", f"{ROLES}/namespaces/parasol/roles", {**MORE, "kind": "Role"}),
    "give itself the cluster": ("POST", f"{ROLES}/clusterroles", {**MORE, "kind": "ClusterRole"}),
}  # fmt: skip


@pytest.fixture
async def site(cluster: Cluster) -> AsyncIterator[KubeSite]:
    async with kube_site(cluster) as site:
        yield site


@pytest.mark.parametrize("attempt", ATTEMPTS)
async def test_the_agent_may_not(site: KubeSite, attempt: str) -> None:
    method, path, body = ATTEMPTS[attempt]
    api = KubernetesApi(site.kubeconfig)
    try:
        with pytest.raises(BackendError, match="may not do this"):
            await api.ask(method, path, body=body)
    finally:
        await api.close()
    if method == "GET":
        return
    assert site.cluster.get("namespace", "parasol")["status"]["phase"] == "Active"
    roles: list[dict[str, Any]] = site.cluster.get("roles,clusterroles")["items"]
    assert "more" not in {role["metadata"]["name"] for role in roles}
