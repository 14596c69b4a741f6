"""Settings of the adapter `kubernetes`: where the cluster is, what its workspaces look like, how folders get into them."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from facility_agent.ports.directory import Account
from facility_agent.tables import Table


def _network(text: str) -> str:
    return str(ip_network(text))


def _folder(path: Path) -> Path:
    if not path.is_absolute() or ".." in path.parts or path == Path("/"):
        raise ValueError("must be an absolute folder below /, without ..")
    return path


Network = Annotated[str, AfterValidator(_network)]
Folder = Annotated[Path, AfterValidator(_folder)]
UID = "{uid}"
Slug = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"


def _namespaces(text: str) -> str:
    if text and (text.count(UID) != 1 or not re.fullmatch(Slug, text.replace(UID, "2147483647"))):
        raise ValueError("must be the name of a namespace with {uid} in it")
    return text


class VolumeTable(Table):
    """How folders at and below `folder`, as the agent names them, get into workspaces. The longest `folder` decides."""

    folder: Folder = Field(description="A folder as the agent and the catalogue name it.")
    kind: Literal["host_path", "nfs", "claim"] = Field(
        description='"host_path": the nodes have it; "nfs": each node mounts it; "claim": a PersistentVolumeClaim of the namespace.'
    )
    path: Folder | None = Field(
        default=None,
        description="The same folder on the nodes, or the export of the NFS server; `folder` by default.",
    )
    server: str = Field(default="", pattern=r"^[A-Za-z0-9.:-]{0,253}$", description="With nfs: its server.")
    claim: str = Field(default="", description="With claim: its name; `folder` is its top.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.kind == "nfs") != bool(self.server) or (self.kind == "claim") != bool(self.claim):
            raise ValueError("nfs needs server, claim needs claim, and no other kind has them")
        return self


class ImageTable(Table):
    """What an environment is made of."""

    image: str = Field(min_length=1, max_length=512, description="The image, best with its digest.")
    pull: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"


class KubernetesSettings(Table):
    """Settings of the adapter `kubernetes`."""

    identity: Literal["account", "root_in_user_namespace"] = Field(
        description='"account": the person\'s uid, gid and groups on the site\'s file system, never root. "root_in_user_namespace" is'
        " refused unless the cluster says that it has user namespaces, and is not built yet."
    )
    kubeconfig: Path | None = Field(
        default=None,
        description="The agent's way in, with a service account's token; without it, that of its own pod.",
    )
    namespace: str = Field(default="parasol", pattern=Slug, description="Where everything is made; it must exist.")
    account_namespaces: Annotated[str, AfterValidator(_namespaces)] = Field(
        default="",
        description='A namespace for each account instead, e.g. "parasol-{uid}"; each must exist, with the rights of kubernetes-rbac-accounts.yaml. Empty: all share `namespace`.',
    )
    images: dict[str, ImageTable] = Field(description="Environment id → image.")
    guard_image: str = Field(
        default="",
        description="An image of the site's own with a static /bin/busybox, which checks a workspace's groups before its program starts; needed unless every node reports supplementalGroupsPolicy.",
    )
    guard_pull: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    volumes: tuple[VolumeTable, ...] = Field(default=(), description="How folders get into workspaces.")
    reachable_from: tuple[Network, ...] = Field(
        min_length=1, description="Addresses of the agent; nobody else reaches a workspace."
    )
    closed_networks: tuple[Network, ...] = Field(
        default=("169.254.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
        description="What workspaces do not reach: the cluster's own networks and clouds' metadata.",
    )
    name_servers: tuple[Network, ...] = Field(
        default=("10.0.0.0/8",),
        description="Where workspaces may ask for names (port 53), even in closed networks.",
    )
    port: int = Field(
        default=8888, ge=1024, le=65_535, description="{port}: where a workspace listens in its pod."
    )
    gpu_resource: str = Field(
        default="",
        pattern=r"^([a-z0-9.-]+/[A-Za-z0-9._-]+)?$",
        description="E.g. nvidia.com/gpu; none: no GPUs here.",
    )
    node_selector: dict[str, str] = Field(default={}, description="Labels of the nodes that take workspaces.")
    image_pull_secrets: tuple[str, ...] = Field(default=(), description="Names of secrets of the namespace.")
    runtime_class: str = Field(default="", description="E.g. gvisor; empty: the cluster's default.")
    packages: str = Field(
        default=".parasol/packages",
        pattern=r"^([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$",
        description="Where an account's own packages lie, below its home where that is mounted; empty: nowhere.",
    )
    grows: bool = Field(
        default=False, description="The cluster adds nodes: nothing is too large for the nodes that are there."
    )
    grace_s: int = Field(default=10, ge=0, le=120, description="Time between SIGTERM and SIGKILL.")
    image_patience_s: float = Field(
        default=120, ge=0, le=600, description="How long an image may fail to be pulled before that is an end."
    )
    mount_patience_s: float = Field(
        default=120, ge=0, le=600, description="How long a folder may fail to be mounted before that is an end."
    )

    def namespace_of(self, account: Account) -> str:
        """Where an account's workspaces are."""
        return self.account_namespaces.replace(UID, str(account.uid)) or self.namespace
