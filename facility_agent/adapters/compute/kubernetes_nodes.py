"""The nodes that take workspaces: what they could hold, and what they know. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from facility_agent.adapters.compute.kubernetes_objects import Cluster
from facility_agent.ports.compute import Capacity
from shared.facilities import Flavour

_UNITS = {
    "": Decimal(1), "m": Decimal("0.001"), "n": Decimal("1e-9"), "u": Decimal("1e-6"),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40), "Pi": Decimal(2**50),
}  # fmt: skip
_QUANTITY = re.compile(r"(\d{1,20}(?:\.\d{1,9})?)(Ki|Mi|Gi|Ti|Pi|[mnukMGTP]?)")


def quantity(text: object) -> Decimal:
    """An amount as Kubernetes writes it; 0 for what is none."""
    match = _QUANTITY.fullmatch(str(text))
    return Decimal(match[1]) * _UNITS[match[2]] if match else Decimal(0)


def suitable(nodes: Sequence[Mapping[str, Any]], selector: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """Those with the labels that the site asks for."""
    return [n for n in nodes if selector.items() <= (n.get("metadata", {}).get("labels") or {}).items()]


def cluster(nodes: Sequence[Mapping[str, Any]]) -> Cluster:
    """What all of them know; nothing when there are none."""
    features = [(n.get("status", {}).get("features") or {}) for n in nodes]
    strict = bool(nodes) and all(each.get("supplementalGroupsPolicy") is True for each in features)
    handlers = [n.get("status", {}).get("runtimeHandlers") or () for n in nodes]
    spaces = bool(nodes) and all(
        any((each.get("features") or {}).get("userNamespaces") is True for each in mine) for mine in handlers
    )
    return Cluster(strict, spaces)


def fits(nodes: Sequence[Mapping[str, Any]], flavour: Flavour, gpu_resource: str) -> bool:
    """Whether one of them could hold it if it were empty."""
    wanted = {"cpu": flavour.cpus, "memory": flavour.memory, "ephemeral-storage": flavour.storage}
    if flavour.gpus:
        wanted[gpu_resource] = flavour.gpus
    return any(
        all(quantity(_amounts(node).get(kind, 0)) >= amount for kind, amount in wanted.items() if amount)
        for node in nodes
    )


def capacity(nodes: Sequence[Mapping[str, Any]]) -> Capacity:
    """What all of them have; what is free would need a look at everybody's pods."""
    if not nodes:
        return Capacity()
    cpus = sum(quantity(_amounts(node).get("cpu", 0)) for node in nodes)
    memory = sum(quantity(_amounts(node).get("memory", 0)) for node in nodes)
    return Capacity(None, int(cpus), None, int(memory))


def _amounts(node: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = node.get("status", {}).get("allocatable") or {}
    return found
