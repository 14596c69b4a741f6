"""What the adapter `kubernetes` asks the cluster for: a pod, a secret and a network policy per workspace. Pure.

Their names follow from the workspace's id, so what a crash left behind is found again. Everything is data of a JSON
object; no value becomes part of a text that somebody parses again, except the guard's words, which are numbers.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facility_agent.adapters.compute import kubernetes_identity as identity
from facility_agent.adapters.compute import kubernetes_task as task
from facility_agent.adapters.compute import packages
from facility_agent.adapters.compute.kubernetes_mounts import WORK, Volume, home, shown
from facility_agent.adapters.compute.kubernetes_settings import KubernetesSettings
from facility_agent.ports.compute import StartSpec, filled
from facility_agent.ports.directory import Account
from shared.errors import BackendError, FlavourTooLarge, Unsupported
from shared.workspaces import is_workspace_id

OWNER, WORKSPACE = "parasol/agent", "parasol/workspace"
"""Labels: whose it is, and of which workspace."""
MAIN = "workspace"
LATE_S = 3600
"""How much later than a flavour's longest life the cluster ends what nobody ended."""
SECRET_ASKED = "{secret}"  # noqa: S105 (the placeholder)


@dataclass(frozen=True, slots=True)
class Cluster:
    """What the server says of itself: whether every node knows `supplementalGroupsPolicy`, and user namespaces."""

    strict_groups: bool = False
    user_namespaces: bool = False


def name_of(workspace_id: str) -> str:
    """The name of everything of a workspace."""
    return f"ws-{workspace_id}"


def workspace_of(name: str) -> str | None:
    """The workspace of a name, None for somebody else's."""
    found = name.removeprefix("ws-")
    return found if name.startswith("ws-") and is_workspace_id(found) else None


def selector(owner: str) -> str:
    """Selects an agent's own."""
    return f"{OWNER}={owner}"


def metadata(spec: StartSpec, owner: str, namespace: str) -> dict[str, Any]:
    """Name, place and labels."""
    labels = {OWNER: owner, WORKSPACE: spec.workspace_id, "app.kubernetes.io/managed-by": "parasol"}
    labels |= {task.LABEL: "true"} if spec.task else {}
    return {"name": name_of(spec.workspace_id), "namespace": namespace, "labels": labels}


def secret(spec: StartSpec, account: Account, home_folder: str, meta: dict[str, Any]) -> dict[str, Any]:
    """The workspace's secret, and who it is."""
    files = {
        "secret": spec.secret,
        "passwd": identity.passwd(account, home_folder),
        "group": identity.group(account),
        **({task.FACTS: spec.task.facts} if spec.task else {}),
    }
    data = {name: b64encode(text.encode()).decode() for name, text in files.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": meta,
        "type": "Opaque",
        "immutable": True,
        "data": data,
    }


def network_policy(spec: StartSpec, settings: KubernetesSettings, meta: dict[str, Any]) -> dict[str, Any]:
    """In: the agent alone. Out: everything but the closed networks, and names."""
    out: list[dict[str, Any]] = []
    for family in ("0.0.0.0/0", "::/0"):
        closed = [net for net in settings.closed_networks if (":" in net) == (":" in family)]
        out.append({"ipBlock": {"cidr": family, **({"except": closed} if closed else {})}})
    egress: list[dict[str, Any]] = [{"to": out}]
    if settings.name_servers:
        names = [{"ipBlock": {"cidr": net}} for net in settings.name_servers]
        egress.append({"to": names, "ports": [{"protocol": p, "port": 53} for p in ("UDP", "TCP")]})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": meta,
        "spec": {
            "podSelector": {"matchLabels": {WORKSPACE: spec.workspace_id}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {
                    "from": [{"ipBlock": {"cidr": net}} for net in settings.reachable_from],
                    "ports": [{"protocol": "TCP", "port": settings.port}],
                }
            ],
            "egress": egress,
        },
    }


def resources(spec: StartSpec, settings: KubernetesSettings) -> dict[str, Any]:
    """Requests and limits, the same: what a person was promised is theirs, and no more. Raises FlavourTooLarge."""
    flavour = spec.flavour
    if flavour.cpus < 1 or flavour.memory < 2**20 or flavour.gpus < 0 or flavour.storage < 0:
        raise BackendError("The facility has set up a size that is none.")
    amounts = {"cpu": str(flavour.cpus), "memory": str(flavour.memory)}
    if flavour.storage:
        amounts["ephemeral-storage"] = str(flavour.storage)
    if flavour.gpus:
        if not settings.gpu_resource:
            raise FlavourTooLarge("The facility's cluster has no GPUs.")
        amounts[settings.gpu_resource] = str(flavour.gpus)
    return {"requests": amounts, "limits": dict(amounts)}


def refusal(settings: KubernetesSettings, cluster: Cluster) -> Unsupported | None:
    """Why nothing may be started in this mode on this cluster; None when it may."""
    if settings.identity == "root_in_user_namespace":
        known = "has" if cluster.user_namespaces else "does not say that it has"
        return Unsupported(
            f"The facility's cluster {known} user namespaces; workspaces with them are not offered."
        )
    if not cluster.strict_groups and not settings.guard_image:
        return Unsupported(
            "The facility's cluster cannot keep an image from giving itself groups; its operators have to set a guard."
        )
    return None


def pod(
    spec: StartSpec, account: Account, settings: KubernetesSettings, cluster: Cluster, meta: dict[str, Any]
) -> dict[str, Any]:
    """The pod.

    Raises IdentityRefused, InvalidRequest, FlavourTooLarge, Unsupported; BackendError for what the site has not set up.
    """
    identity.check(account)
    refused = refusal(settings, cluster)
    if refused is not None:
        raise refused
    if spec.task is not None and not settings.guard_image:
        raise Unsupported("The facility's cluster runs no tasks; its operators have to set a guard.")
    image = settings.images.get(spec.environment)
    if image is None:
        raise BackendError("The facility has not said which image this environment is.")
    amounts, at_home = resources(spec, settings), home(settings.volumes, account.home)
    volumes = [*own(spec), *([at_home] if at_home else []), *shown(settings.volumes, spec.mounts)]
    strict, command = cluster.strict_groups, commanded(spec, settings)
    guarded = not strict or spec.task is not None  # a task begins with what the guard brings
    container = {
        "name": MAIN,
        "image": image.image,
        "imagePullPolicy": image.pull,
        "command": identity.guarded(account, command) if guarded else command,
        "workingDir": WORK,
        "env": variables(spec, settings, home_of(settings, account)),
        "ports": [{"containerPort": settings.port, "protocol": "TCP"}],
        "resources": amounts,
        "securityContext": identity.container_context(),
        "volumeMounts": [mount for _, mount in volumes],
    }
    made = {
        **_base(spec, settings),
        "securityContext": identity.pod_context(account, strict=strict),
        "volumes": [volume for volume, _ in volumes],
        "containers": [container],
        **_placing(settings),
    }
    if guarded:
        _guard(made, settings, amounts)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": made}


def _base(spec: StartSpec, settings: KubernetesSettings) -> dict[str, Any]:
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostNetwork": False,
        "hostPID": False,
        "hostIPC": False,
        "activeDeadlineSeconds": spec.flavour.longest_s + LATE_S,
        "terminationGracePeriodSeconds": settings.grace_s,
    }


def home_of(settings: KubernetesSettings, account: Account) -> str:
    """HOME: the account's own where the site has a rule for it, else the workspace's folder."""
    return str(account.home) if home(settings.volumes, account.home) else WORK


def own(spec: StartSpec) -> list[Volume]:
    """What every workspace has: its folder, a place for temporary files, its secret, who it is."""
    size = {"sizeLimit": str(spec.flavour.storage)} if spec.flavour.storage else {}
    files: dict[str, Any] = {"secretName": name_of(spec.workspace_id), "defaultMode": 0o444}
    told_of = ("secret", *((task.FACTS,) if spec.task else ()))
    told = {**files, "items": [{"key": key, "path": key} for key in told_of]}
    who = {**files, "items": [{"key": key, "path": key} for key in ("passwd", "group")]}
    made: list[Volume] = [
        ({"name": "work", "emptyDir": size}, {"name": "work", "mountPath": WORK}),
        *_scratch(spec, size),
        ({"name": "tmp", "emptyDir": size}, {"name": "tmp", "mountPath": "/tmp"}),  # noqa: S108 (in the container)
        ({"name": "secret", "secret": told}, _read("secret", identity.SECRET_FILE.rpartition("/")[0])),
        ({"name": "passwd", "secret": who}, {**_read("passwd", "/etc/passwd"), "subPath": "passwd"}),
        ({"name": "group", "secret": who}, {**_read("group", "/etc/group"), "subPath": "group"}),
    ]
    return made


def _scratch(spec: StartSpec, size: dict[str, str]) -> list[Volume]:
    """A folder to write to beside the proposals, unless the site shows one of its own."""
    if any(mount.place == "scratch" for mount in spec.mounts):
        return []
    return [({"name": "scratch", "emptyDir": size}, {"name": "scratch", "mountPath": f"{WORK}/scratch"})]


def _read(name: str, at: str) -> dict[str, Any]:
    return {"name": name, "mountPath": at, "readOnly": True}


def values(settings: KubernetesSettings) -> Mapping[str, str]:
    """What the placeholders of a command and its variables mean here."""
    return {"work": WORK, "port": str(settings.port), "secret_file": identity.SECRET_FILE}


def commanded(spec: StartSpec, settings: KubernetesSettings) -> list[str]:
    """The environment's command. Raises Unsupported for one that wants its secret as a word, or a Unix socket."""
    if spec.task is None:
        return [_literal(_filled(word, settings)) for word in spec.command]
    results = f"{WORK}/{spec.task.results}"
    words = [_filled(word, settings).replace("{results}", results) for word in spec.command]
    return [_literal(word) for word in task.begun(words, results)]


def variables(spec: StartSpec, settings: KubernetesSettings, home_folder: str) -> list[dict[str, str]]:
    """The container's variables; anybody who may read pods reads them, so no secret is among them. Raises Unsupported."""
    made = {"HOME": home_folder, "LANG": "C.UTF-8", "TMPDIR": "/tmp"}  # noqa: S108 (in the container)
    if settings.packages and home_folder != WORK:
        made.update(packages.variables(Path(home_folder, settings.packages)))
    made.update((name, _filled(value, settings)) for name, value in spec.variables)
    return [{"name": name, "value": _literal(value)} for name, value in made.items()]


def _literal(text: str) -> str:
    """As the kubelet reads it: it replaces `$(NAME)`, and takes `$$` for one dollar before a bracket."""
    return text.replace("$(", "$$(")


def _filled(text: str, settings: KubernetesSettings) -> str:
    if SECRET_ASKED in text or "{socket}" in text:
        raise Unsupported(
            "The facility's cluster starts no environment that wants its secret as a variable, or a Unix socket."
        )
    return filled(text, values(settings))


def _guard(made: dict[str, Any], settings: KubernetesSettings, amounts: dict[str, Any]) -> None:
    folder = identity.PROGRAM.rpartition("/")[0]
    made["volumes"].append({"name": "guard", "emptyDir": {"sizeLimit": "16Mi"}})
    made["containers"][0]["volumeMounts"].append(_read("guard", folder))
    made["initContainers"] = [
        {
            "name": "guard",
            "image": settings.guard_image,
            "imagePullPolicy": settings.guard_pull,
            "command": ["/bin/busybox", "cp", "/bin/busybox", identity.PROGRAM],
            "resources": amounts,  # of the same size, so the pod's own does not grow
            "securityContext": identity.container_context(),
            "volumeMounts": [{"name": "guard", "mountPath": folder}],
        }
    ]


def _placing(settings: KubernetesSettings) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if settings.node_selector:
        made["nodeSelector"] = dict(settings.node_selector)
    if settings.image_pull_secrets:
        made["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    if settings.runtime_class:
        made["runtimeClassName"] = settings.runtime_class
    return made
