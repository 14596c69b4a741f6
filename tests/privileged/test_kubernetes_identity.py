"""Who a workspace is on a real cluster: the account with every group, and nothing that an image or a name adds."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from facility_agent.adapters.compute.kubernetes import KubernetesCompute
from facility_agent.ports.compute import Mount, Observation, RunState, StartSpec
from facility_agent.ports.directory import Account
from facility_agent.testing.patience import eventually
from shared.errors import IdentityRefused, InvalidRequest, ParasolError, Unsupported
from tests.privileged.kube_cluster import Cluster
from tests.privileged.kube_image import STOLEN, UID
from tests.privileged.kube_site import ENDS_S, KubeSite, kube_site
from tests.privileged.site import as_root
from tests.waiting import until

pytestmark = pytest.mark.needs("root", "kubernetes")
ASKS = """
import grp, json, os, pwd
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
def tried(work):
    try:
        work()
    except OSError as error:
        return type(error).__name__
    return "done"
def write(path):
    return tried(lambda: open(path, "w").write("x"))
print(json.dumps({
    "uid": os.getresuid(), "gid": os.getresgid(), "groups": sorted(os.getgroups()),
    "name": pwd.getpwuid(os.getuid()).pw_name, "home": os.environ["HOME"], "known": grp.getgrgid(os.getgid()).gr_name,
    "capabilities": status["CapEff"].strip(), "bounding": status["CapBnd"].strip(), "no_new_privileges": status["NoNewPrivs"].strip(),
    "seccomp": status["Seccomp"].strip(), "root": tried(lambda: os.setuid(0)), "image": write("/etc/x"),
    "work": write("/workspace/x"), "tmp": write("/tmp/x"), "token": os.path.exists("/var/run/secrets/kubernetes.io"),
    "read": {p: tried(lambda: os.listdir("/workspace/proposals/" + p)) for p in os.listdir("/workspace/proposals")} if os.path.isdir("/workspace/proposals") else {},
    "write": {p: write("/workspace/proposals/" + p + "/x") for p in os.listdir("/workspace/proposals")} if os.path.isdir("/workspace/proposals") else {},
    "at_home": write(os.environ["HOME"] + "/mine"),
    "setuid": os.popen("/usr/bin/root-python -S -c 'import os; print(os.geteuid())' 2>/dev/null").read().strip(),
}))
"""


@pytest.fixture
async def site(cluster: Cluster) -> AsyncIterator[KubeSite]:
    assert os.getuid() != 0
    async with kube_site(cluster) as site:
        yield site


async def ended(site: KubeSite, backend: KubernetesCompute, handle: str) -> Observation:
    async def is_gone() -> bool:
        return (await backend.inspect([handle]))[handle].state is RunState.GONE

    await eventually(is_gone, "it has ended", site.patience_s)
    return (await backend.inspect([handle]))[handle]


async def run(
    site: KubeSite, spec: StartSpec, account: Account | None = None, **settings: object
) -> dict[str, object]:
    """What a script printed."""
    backend = site.backend(**settings)
    handle = await backend.start(spec, account or site.account)
    seen = await ended(site, backend, handle)
    await eventually(lambda: _logged(backend, handle), "its output was kept")
    said = await backend.logs(handle)
    assert seen.exit_code == 0, (seen, said)
    answer: dict[str, object] = json.loads(said.strip().splitlines()[-1])
    return answer


async def _logged(backend: KubernetesCompute, handle: str) -> bool:
    return bool(await backend.logs(handle))


def folders(site: KubeSite) -> Path:
    """The site's data: a proposal of one of the account's groups, one of nobody's they know, a home."""
    data = site.folder / "data"
    with as_root():
        for name, group in (("mine", 61_301), ("theirs", STOLEN)):
            folder = data / name
            folder.mkdir(parents=True)
            os.chown(folder, 0, group)
            folder.chmod(0o770)
        (data / "home").mkdir()
        os.chown(data / "home", UID, UID)
        (data / "home").chmod(0o700)
        data.chmod(0o755)
        site.folder.chmod(0o755)
    return data


async def test_a_workspace_is_the_account_with_every_group_and_nothing_else(site: KubeSite) -> None:
    data = folders(site)
    mounts = (Mount("mine - {a}: 'b'", data / "mine"), Mount("theirs", data / "theirs", read_only=False))
    mounts = (replace(mounts[0], name="mine - {a} 'b' \"c\" #&*!|>%@`"), mounts[1])
    account = replace(site.account, home=data / "home")
    said = await run(
        site, site.script(ASKS, mounts=mounts), account, volumes=[{"folder": str(data), "kind": "host_path"}]
    )
    assert said["uid"] == said["gid"] == [UID] * 3
    assert said["groups"] == [UID, 61_301, 61_401]
    assert (said["name"], said["known"], said["home"]) == ("ada", "ada", str(data / "home"))
    assert said["capabilities"] == said["bounding"] == "0" * 16
    assert (said["no_new_privileges"], said["seccomp"]) == ("1", "2")
    assert (said["root"], said["image"]) == ("PermissionError", "OSError"), (
        "never root, and the image is read-only"
    )
    assert (said["work"], said["tmp"], said["at_home"], said["token"]) == ("done", "done", "done", False)
    mine = mounts[0].name
    assert said["read"] == {mine: "done", "theirs": "PermissionError"}
    assert said["write"] == {mine: "OSError", "theirs": "PermissionError"}, "a proposal is mounted read-only"
    with as_root():
        assert not list((data / "mine").iterdir())
        assert (data / "home" / "mine").stat().st_uid == UID


async def test_an_image_gives_no_group_and_its_setuid_files_give_no_root(site: KubeSite) -> None:
    """The runtime itself would: the same image without the guard has the group. So the guard is what refuses it."""
    data = folders(site)
    steal = "import os; print(os.listdir('/workspace/proposals/theirs')); open('/workspace/home/x', 'w')"
    spec = site.script(steal, environment="hostile", mounts=(Mount("theirs", data / "theirs"),))
    backend = site.backend(volumes=[{"folder": str(data), "kind": "host_path"}])
    seen = await ended(site, backend, await backend.start(spec, site.account))
    unguarded = json.loads(_without_guard(site))
    if STOLEN in unguarded["groups"]:
        assert (seen.state, seen.reason) == (RunState.GONE, "IMAGE_GRANTS_GROUP")
        assert "guard: group" in await backend.logs(spec.workspace_id)
        assert seen.message.endswith(".")
    else:
        pytest.fail(f"this runtime adds no groups: {unguarded}")


def _without_guard(site: KubeSite) -> str:
    """What the hostile image gets from this cluster's runtime when nobody guards, generated group file and all."""
    from facility_agent.adapters.compute import kubernetes_objects as objects

    spec = site.script(ASKS, environment="hostile")
    settings, meta = site.settings(), objects.metadata(spec, "nobody", "parasol")
    pod = objects.pod(spec, site.account, settings, objects.Cluster(strict_groups=True), meta)
    for made in (objects.secret(spec, site.account, "/workspace", meta), pod):
        site.cluster.kubectl("create", "--validate=false", "-f", "-", given=json.dumps(made))
    until(
        lambda: site.cluster.get("pod", meta["name"])["status"]["phase"] == "Succeeded",
        "it has ended",
        site.patience_s,
    )
    return site.cluster.kubectl("-n", "parasol", "logs", meta["name"]).strip().splitlines()[-1]


async def test_a_setuid_file_of_the_image_gives_no_root(site: KubeSite) -> None:
    answer = json.loads(_without_guard(site))
    assert answer["setuid"] == str(UID)
    assert answer["capabilities"] == "0" * 16


async def test_the_secret_is_in_a_file_and_nowhere_else(site: KubeSite) -> None:
    spec, backend = site.spec(), site.backend()
    await backend.start(spec, site.account)
    name = f"ws-{spec.workspace_id}"
    pod, secret = site.cluster.get("pod", name), site.cluster.get("secret", name)
    assert spec.secret not in json.dumps(pod)
    assert base64.b64decode(secret["data"]["secret"]).decode() == spec.secret
    assert secret["immutable"] is True
    for placeholder in ({"variables": (("TOKEN", "{secret}"),)}, {"command": ("/bin/sh", "{secret}")}):
        refused = site.spec(**placeholder)
        with pytest.raises(Unsupported):
            await backend.start(refused, site.account)
        assert site.pods(refused.workspace_id) == []

    async def runs() -> bool:
        return (await backend.inspect([spec.workspace_id]))[spec.workspace_id].state is RunState.RUNNING

    await eventually(runs, "it runs", site.patience_s)
    await backend.stop(spec.workspace_id)

    async def nothing_is_left() -> bool:
        return name not in site.cluster.kubectl(
            "-n", "parasol", "get", "pods,secrets,networkpolicies", "-o", "name"
        )

    await eventually(nothing_is_left, "what belonged to it is removed with it", ENDS_S)


async def test_the_server_has_stored_what_was_meant(site: KubeSite) -> None:
    spec, backend = site.spec(), site.backend()
    await backend.start(spec, site.account)
    name = f"ws-{spec.workspace_id}"
    pod, policy = site.cluster.get("pod", name)["spec"], site.cluster.get("networkpolicy", name)["spec"]
    [container], context = pod["containers"], pod["securityContext"]
    assert pod["automountServiceAccountToken"] is False
    assert "fsGroup" not in context
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert context["supplementalGroups"] == [UID, 61_301, 61_401]
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    amounts = {"cpu": "1", "memory": str(spec.flavour.memory)}
    assert container["resources"] == {"requests": amounts, "limits": amounts}
    assert site.cluster.get("pod", name)["status"]["qosClass"] == "Guaranteed"
    assert policy["podSelector"] == {"matchLabels": {"parasol/workspace": spec.workspace_id}}
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == [
        {"from": [{"ipBlock": {"cidr": "10.88.99.1/32"}}], "ports": [{"protocol": "TCP", "port": 8888}]}
    ]
    outside = policy["egress"][0]["to"][0]["ipBlock"]
    assert "10.88.99.0/24" in outside["except"], "nobody else's workspace"


BAD_ACCOUNTS = {
    "uid 0": {"uid": 0}, "gid 0": {"gid": 0}, "a group 0": {"groups": (0,)}, "negative": {"uid": -1},
    "too large": {"uid": 2**31}, "nobody": {"uid": 65_534}, "a line": {"username": "ada\nroot:x:0:0"},
    "fields": {"username": "ada:x:0:0"}, "root's name": {"username": "root"}, "yaml": {"username": "- {a: b}"},
    "shell": {"username": "$(id)"}, "home": {"home": Path("/home/a:b")},
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_ACCOUNTS)
async def test_a_bad_account_starts_nothing(site: KubeSite, what: str) -> None:
    spec, backend = site.spec(), site.backend()
    with pytest.raises(IdentityRefused):
        await backend.start(spec, replace(site.account, **BAD_ACCOUNTS[what]))  # type: ignore[arg-type]
    assert site.pods(spec.workspace_id) == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a:b", "a\nb", "x" * 300])
async def test_a_bad_mount_starts_nothing(site: KubeSite, name: str) -> None:
    backend = site.backend(volumes=[{"folder": "/data", "kind": "host_path"}])
    spec = site.spec(mounts=(Mount(name, Path("/data/p")),))
    with pytest.raises(InvalidRequest):
        await backend.start(spec, site.account)
    elsewhere = site.spec(mounts=(Mount("p", Path("/elsewhere")),))
    with pytest.raises(ParasolError, match="has not set up"):
        await backend.start(elsewhere, site.account)
    assert site.pods(spec.workspace_id) == site.pods(elsewhere.workspace_id) == []


@pytest.mark.parametrize("changes", [{"identity": "root_in_user_namespace"}, {"guard_image": ""}])
async def test_what_this_cluster_cannot_keep_apart_is_refused(site: KubeSite, changes: dict[str, str]) -> None:
    spec, backend = site.spec(), site.backend(**changes)
    with pytest.raises(Unsupported):
        await backend.start(spec, site.account)
    assert site.pods(spec.workspace_id) == []
