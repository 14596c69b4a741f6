"""Makes and removes what a workspace is in the cluster. The pod comes last and goes first: nothing else runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from facility_agent.adapters.compute import kubernetes_nodes as nodes
from facility_agent.adapters.compute import kubernetes_objects as objects
from facility_agent.adapters.compute.kubernetes_api import KubernetesApi
from facility_agent.adapters.compute.kubernetes_settings import KubernetesSettings
from facility_agent.ports.compute import StartSpec
from facility_agent.ports.directory import Account
from shared.errors import BackendError, Conflict, FlavourTooLarge, NotFound

log = logging.getLogger(__name__)
LOG_TAIL = 64 * 1024


def _pods(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods"


def _secrets(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/secrets"


def _policies(namespace: str) -> str:
    return f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"


class Maker:
    """For one agent (`owner`). `place` says in which namespace a workspace is."""

    def __init__(
        self, api: KubernetesApi, settings: KubernetesSettings, owner: str, place: Callable[[str], str]
    ) -> None:
        self._api, self._settings, self._owner, self._place = api, settings, owner, place
        core = "/api/v1" if settings.account_namespaces else f"/api/v1/namespaces/{settings.namespace}"
        self.watched_pods, self.watched_events = f"{core}/pods", f"{core}/events"

    def planned(
        self, spec: StartSpec, account: Account, there: list[Any], *, known: bool
    ) -> tuple[tuple[str, dict[str, Any]], ...]:
        """What to make, where and in this order. `there` are the nodes, if they are `known`. Raises as `objects.pod`."""
        settings, place = self._settings, self._settings.namespace_of(account)
        meta = objects.metadata(spec, self._owner, place)
        mine = nodes.suitable(there, settings.node_selector)
        pod = objects.pod(spec, account, settings, nodes.cluster(mine), meta)
        if known and not settings.grows and not nodes.fits(mine, spec.flavour, settings.gpu_resource):
            raise FlavourTooLarge("No node of the facility's cluster is large enough for this size.")
        home = objects.home_of(settings, account)
        return (
            (_secrets(place), objects.secret(spec, account, home, meta)),
            (_policies(place), objects.network_policy(spec, settings, meta)),
            (_pods(place), pod),
        )

    async def find(self, workspace_id: str, place: str = "") -> dict[str, Any] | None:
        """The workspace's pod. Raises Conflict when another agent has made it."""
        pods = _pods(place or self._place(workspace_id))
        try:
            pod = await self._api.ask("GET", f"{pods}/{objects.name_of(workspace_id)}")
        except NotFound:
            return None
        if (pod["metadata"].get("labels") or {}).get(objects.OWNER) != self._owner:
            raise Conflict
        return pod

    async def make(self, plan: tuple[tuple[str, dict[str, Any]], ...]) -> dict[str, Any]:
        """The pod, made. Raises QuotaExceeded, BackendError, BackendUnavailable; then something of it may be there."""
        made: dict[str, Any] = {}
        for path, wanted in plan:
            name = wanted["metadata"]["name"]
            try:
                made = await self._api.ask("POST", path, body=wanted)
            except NotFound as error:
                raise BackendError("The facility's cluster lacks the place for workspaces.") from error
            except Conflict:
                if wanted["kind"] == "Pod":  # an earlier try had its effect
                    made = await self._api.ask("GET", f"{path}/{name}")
                else:  # of a start that a crash cut off: no pod uses it
                    await self._delete(f"{path}/{name}")
                    made = await self._api.ask("POST", path, body=wanted)
        if (made["metadata"].get("labels") or {}).get(objects.OWNER) != self._owner:
            raise Conflict
        return made

    async def end(self, workspace_id: str, uid: str = "", grace_s: int | None = None) -> None:
        """Ask for the pod's end; it is there until its node has ended it. With `uid` only that very pod."""
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if grace_s is not None:
            body["gracePeriodSeconds"] = grace_s
        if uid:
            body["preconditions"] = {"uid": uid}
        with suppress(Conflict):  # another pod has its name: this one is gone
            await self._delete(f"{_pods(self._place(workspace_id))}/{objects.name_of(workspace_id)}", body)

    async def tidy(self, workspace_id: str) -> None:
        """Remove what is not the pod."""
        place = self._place(workspace_id)
        for path in (_policies(place), _secrets(place)):
            await self._delete(f"{path}/{objects.name_of(workspace_id)}")

    async def output(self, workspace_id: str) -> str:
        """The last 64 KiB of its output."""
        query = {"container": objects.MAIN, "tailLines": "1000", "limitBytes": str(2**20)}
        pod = f"{_pods(self._place(workspace_id))}/{objects.name_of(workspace_id)}"
        said = await self._api.text(f"{pod}/log", query)
        return said.encode()[-LOG_TAIL:].decode(errors="ignore")

    async def nodes(self) -> list[Any]:
        """All nodes."""
        answer = await self._api.ask("GET", "/api/v1/nodes", {"limit": "5000"})
        return list(answer.get("items") or ())

    async def _delete(self, path: str, body: dict[str, Any] | None = None) -> None:
        with suppress(NotFound):
            await self._api.ask("DELETE", path, body=body)
