"""What is known of a test's workspaces when it has failed: by the server, by the agents, by the node."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from facility_agent.adapters.compute.kubernetes import KubernetesCompute
from facility_agent.adapters.compute.kubernetes_objects import name_of
from tests.privileged.kube_site import KubeSite
from tests.privileged.site import as_root

LINES = 40
"""Of the kubelet's log."""


def report(site: KubeSite) -> str:
    """For people."""
    return "\n".join(_lines(site))


def _lines(site: KubeSite) -> Iterator[str]:
    yield f"a pod of this cluster was ready in {site.cluster.ready_s:.1f} s when the tests began"
    for agent in site.opened:
        yield from _mirror(agent)
    events = site.cluster.get("events")["items"]
    for spec in site.started:
        name = name_of(spec.workspace_id)
        yield f"--- {spec.workspace_id}"
        for pod in site.pods(spec.workspace_id):
            yield f"server: {_told(pod)}"
        for event in events:
            if event["involvedObject"].get("name") == name and event["reason"] != "MissingClusterDNS":
                times = event.get("firstTimestamp") or event.get("eventTime"), event.get("lastTimestamp")
                yield f"event: {event['reason']} {times} ×{event.get('count')}: {event.get('message')}"
        for agent in site.opened:
            held = agent.pods.objects.get(name)
            yield f"agent: {_told(held) if held else 'holds no pod'}; its record: {agent._records.get(spec.workspace_id)}"
    yield "--- nodes"
    for node in site.cluster.get("nodes")["items"]:
        yield json.dumps({each["type"]: each["status"] for each in node["status"]["conditions"]})
    others = [pod["metadata"]["name"] for pod in site.cluster.get("pods")["items"]]
    yield f"--- all pods: {others}"
    yield from _kubelet(site)


def _mirror(agent: KubernetesCompute) -> Iterator[str]:
    for what, mirror in (("pods", agent.pods), ("warnings", agent.warnings)):
        heard = "never" if mirror.heard_at is None else f"{time.monotonic() - mirror.heard_at:.1f} s ago"
        broken = (
            "stands" if mirror._broken_at is None else f"broke {time.monotonic() - mirror._broken_at:.1f} s ago"
        )
        counts = f"{mirror.relisted} lists, {mirror.resumed} watches"
        yield f"{what}: {counts}, last event {heard}, {broken}, {len(mirror.objects)} held, version {mirror._version}"


def _told(pod: dict[str, Any]) -> str:
    status, meta = pod.get("status", {}), pod["metadata"]
    told = {
        key: status.get(key) for key in ("phase", "reason", "message", "podIP", "startTime") if status.get(key)
    }
    told["conditions"] = {
        each["type"]: (each["status"], each.get("reason"), each.get("message"))
        for each in status.get("conditions", ())
    }
    statuses = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
    told["containers"] = {each["name"]: each.get("state") for each in statuses}
    times = {key: meta.get(key) for key in ("creationTimestamp", "deletionTimestamp", "resourceVersion")}
    return json.dumps({**times, **told})


def _kubelet(site: KubeSite) -> Iterator[str]:
    log = site.cluster.kubeconfig_given.parent / "kubelet.log"
    with as_root():
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    yield f"--- kubelet: errors among its last lines ({log})"
    yield from [line[:400] for line in lines if line.startswith("E")][-LINES:]
