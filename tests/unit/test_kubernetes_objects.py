"""What the adapter `kubernetes` asks for and how it reads what it sees, without a cluster."""

from __future__ import annotations

import json
import shutil
import subprocess
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from facility_agent.adapters.compute import kubernetes_identity as identity
from facility_agent.adapters.compute import kubernetes_nodes as nodes
from facility_agent.adapters.compute import kubernetes_objects as objects
from facility_agent.adapters.compute import kubernetes_task as task
from facility_agent.adapters.compute.kubernetes_mounts import shown
from facility_agent.adapters.compute.kubernetes_reasons import (
    SENTENCES,
    judge,
    removed,
    scheduler_says,
    warnings_of,
)
from facility_agent.adapters.compute.kubernetes_relay import is_pod_address
from facility_agent.adapters.compute.kubernetes_settings import KubernetesSettings, VolumeTable
from facility_agent.adapters.compute.kubernetes_task import is_task
from facility_agent.ports.compute import Mount, RunState, StartSpec, Task
from facility_agent.ports.directory import Account
from shared.errors import BackendError, FlavourTooLarge, IdentityRefused, InvalidRequest, ParasolError, Unsupported
from shared.facilities import Flavour

WORKSPACE = "6f0ec6d4-1b7e-4c7e-9f0b-6a1d1b8f2a11"
ADA = Account("ada", "id-ada", 4001, 4001, (4002, 4003), Path("/home/ada"))
SIZE = Flavour("small", "Small", 2, 2**30, 1, 10**9, 3600)
SPEC = StartSpec(
    WORKSPACE, "notebook", ("jupyter-lab", "--port={port}"), SIZE, (Mount("p1", Path("/data/p1")),), 3600, "s3cret",
    (("JUPYTER_TOKEN_FILE", "{secret_file}"), ("WHERE", "{work}"), ("MONEY", "$(HOME)")),
)  # fmt: skip
STRICT = objects.Cluster(strict_groups=True)


def settings(**changes: Any) -> KubernetesSettings:
    values = {
        "identity": "account", "images": {"notebook": {"image": "registry.example/notebook:1"}}, "guard_image": "guard:1",
        "gpu_resource": "nvidia.com/gpu", "reachable_from": ["192.0.2.1/32"],
        "volumes": [{"folder": "/data", "kind": "nfs", "server": "nfs.example", "path": "/export"}],
    }  # fmt: skip
    return KubernetesSettings.model_validate({**values, **changes})


def pod(spec: StartSpec = SPEC, account: Account = ADA, cluster: objects.Cluster = STRICT, **changes: Any) -> Any:
    return objects.pod(spec, account, settings(**changes), cluster, objects.metadata(spec, "here", "parasol"))[
        "spec"
    ]


def test_a_cluster_that_knows_strict_groups_needs_no_guard() -> None:
    made = pod(guard_image="")
    assert made["securityContext"]["supplementalGroupsPolicy"] == "Strict"
    assert made["containers"][0]["command"] == ["jupyter-lab", "--port=8888"]
    assert "initContainers" not in made


def test_elsewhere_the_guard_comes_first_or_nothing_starts() -> None:
    made = pod(cluster=objects.Cluster())
    assert "supplementalGroupsPolicy" not in made["securityContext"]
    assert made["containers"][0]["command"][0] == identity.PROGRAM
    assert made["containers"][0]["command"][-4:] == ["4001 4002 4003", "4001", "jupyter-lab", "--port=8888"]
    assert made["initContainers"][0]["image"] == "guard:1"
    with pytest.raises(Unsupported):
        pod(cluster=objects.Cluster(), guard_image="")


@pytest.mark.parametrize("spaces", [False, True])
def test_root_inside_is_refused(spaces: bool) -> None:
    with pytest.raises(Unsupported):
        pod(cluster=objects.Cluster(strict_groups=True, user_namespaces=spaces), identity="root_in_user_namespace")


@pytest.mark.parametrize("cluster", [STRICT, objects.Cluster()])
def test_every_container_is_without_rights(cluster: objects.Cluster) -> None:
    made = pod(cluster=cluster)
    context = made["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"], context["runAsNonRoot"]) == (4001, 4001, True)
    assert context["supplementalGroups"] == [4001, 4002, 4003]
    assert "fsGroup" not in context
    for container in (*made["containers"], *made.get("initContainers", ())):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "privileged": False, "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
    assert (
        made["automountServiceAccountToken"] is made["hostNetwork"] is made["hostPID"] is made["hostIPC"] is False
    )


def test_sizes_are_asked_for_and_bounded() -> None:
    amounts = {"cpu": "2", "memory": str(2**30), "ephemeral-storage": str(10**9), "nvidia.com/gpu": "1"}
    assert pod()["containers"][0]["resources"] == {"requests": amounts, "limits": amounts}
    with pytest.raises(FlavourTooLarge):
        pod(gpu_resource="")
    for wrong in ({"cpus": 0}, {"cpus": -1}, {"memory": 0}, {"gpus": -1}):
        with pytest.raises(BackendError):
            pod(replace(SPEC, flavour=replace(SIZE, **wrong)))


def test_the_secret_is_a_file() -> None:
    made = pod()
    assert SPEC.secret not in json.dumps(made)
    told = {each["name"]: each["value"] for each in made["containers"][0]["env"]}
    assert told["JUPYTER_TOKEN_FILE"] == identity.SECRET_FILE
    assert told["MONEY"] == "$$(HOME)", "the kubelet replaces nothing in it"
    for wrong in (replace(SPEC, command=("x", "{secret}")), replace(SPEC, variables=(("A", "b{socket}"),))):
        with pytest.raises(Unsupported):
            pod(wrong)


TEXT = st.text(max_size=40)


@given(TEXT, TEXT, st.integers(-2, 2**33), st.lists(st.integers(-1, 2**33), max_size=5))
def test_password_and_group_files_hold_one_line_for_each(
    name: str, home: str, uid: int, groups: list[int]
) -> None:
    try:
        account = Account(name, "id", uid, uid, tuple(groups), Path("/home") / home.lstrip("/"))
        identity.check(account)
    except (IdentityRefused, ValueError):
        return
    users = [line.split(":") for line in identity.passwd(account, str(account.home)).splitlines()]
    assert all(len(user) == 7 for user in users)
    assert [user[0] for user in users if user[2] == str(uid)] == [name]
    assert [user[0] for user in users if user[2] == "0"] == ["root"]
    known = [line.split(":") for line in identity.group(account).splitlines()]
    assert all(len(each) == 4 for each in known)
    assert {int(each[2]) for each in known if name in each[3].split(",")} == {uid, *groups}
    assert len({each[2] for each in known}) == len(known)


@given(st.lists(st.tuples(TEXT, TEXT, st.sampled_from(["proposals", ""]) | TEXT), max_size=3))
def test_whatever_a_proposal_is_called_it_stays_in_its_place(named: list[tuple[str, str, str]]) -> None:
    mounts = tuple(Mount(name, Path("/data") / folder, within=within) for name, folder, within in named)
    try:
        made = shown(settings().volumes, mounts)
    except (InvalidRequest, BackendError):
        return
    for (volume, mount), asked in zip(made, mounts, strict=True):
        where = mount["mountPath"]
        assert where.startswith(f"/workspace/{asked.within}/" if asked.within else "/workspace/")
        assert where.count("/") == (3 if asked.within else 2)
        assert not {".", ".."} & set(where.split("/"))
        assert ":" not in where
        assert volume["nfs"]["server"] == "nfs.example"
        assert Path(volume["nfs"]["path"]).is_relative_to("/export")
        assert ".." not in Path(volume["nfs"]["path"]).parts


def test_the_longest_rule_decides_how_a_folder_gets_in() -> None:
    rules = tuple(
        VolumeTable.model_validate(rule)
        for rule in (
            {"folder": "/data", "kind": "host_path"},
            {"folder": "/data/nfs", "kind": "nfs", "server": "s", "path": "/e"},
            {"folder": "/data/claim", "kind": "claim", "claim": "big"},
        )
    )
    paths = ("/data/a/b", "/data/nfs/p", "/data/claim/p/q", "/data/claim")
    made = shown(rules, [Mount(f"m{i}", Path(path), read_only=i != 0) for i, path in enumerate(paths)])
    assert made[0][0]["hostPath"] == {"path": "/data/a/b", "type": "Directory"}
    assert made[0][1]["readOnly"] is False
    assert made[1][0]["nfs"] == {"server": "s", "path": "/e/p", "readOnly": True}
    assert (made[2][0]["persistentVolumeClaim"]["claimName"], made[2][1]["subPath"]) == ("big", "p/q")
    assert "subPath" not in made[3][1]
    for nowhere in ("/database", "/etc", "/data/../etc"):
        with pytest.raises(BackendError):
            shown(rules, [Mount("m", Path(nowhere))])


def test_home_is_its_own_place_only_by_rule() -> None:
    at_home = pod(volumes=[{"folder": "/home", "kind": "host_path"}, {"folder": "/data", "kind": "host_path"}])
    assert {"name": "home", "mountPath": "/home/ada", "readOnly": False} in at_home["containers"][0][
        "volumeMounts"
    ]
    assert {"name": "HOME", "value": "/home/ada"} in at_home["containers"][0]["env"]
    assert {"name": "HOME", "value": "/workspace"} in pod()["containers"][0]["env"]
    own = {"name": "PYTHONUSERBASE", "value": "/home/ada/.parasol/packages"}
    assert own in at_home["containers"][0]["env"]
    assert "PYTHONUSERBASE" not in {each["name"] for each in pod()["containers"][0]["env"]}, (
        "it would be gone with the pod"
    )
    scratch = {"name": "scratch", "mountPath": "/workspace/scratch"}
    assert scratch in pod()["containers"][0]["volumeMounts"]


def test_the_network_policy_names_the_agent_and_closes_the_rest() -> None:
    made = objects.network_policy(SPEC, settings(closed_networks=["10.0.0.0/8", "fd00::/8"], name_servers=[]), {})
    assert made["spec"]["ingress"][0]["from"] == [{"ipBlock": {"cidr": "192.0.2.1/32"}}]
    assert [each["ipBlock"] for each in made["spec"]["egress"][0]["to"]] == [
        {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}, {"cidr": "::/0", "except": ["fd00::/8"]},
    ]  # fmt: skip
    assert len(made["spec"]["egress"]) == 1


def test_names_lead_back_to_workspaces() -> None:
    assert objects.workspace_of(objects.name_of(WORKSPACE)) == WORKSPACE
    for other in ("", "ws-", "ws-x", WORKSPACE, f"ws-{WORKSPACE}x", f"ws-ws-{WORKSPACE}"):
        assert objects.workspace_of(other) is None
    data = objects.secret(SPEC, ADA, "/home/ada", {})["data"]
    assert b64decode(data["secret"]) == b"s3cret"


@pytest.mark.parametrize(
    "wrong",
    [{"reachable_from": []}, {"reachable_from": ["everybody"]}, {"namespace": "../x"}, {"unknown": 1}, {"port": 80},
     {"volumes": [{"folder": "/", "kind": "host_path"}]}, {"volumes": [{"folder": "/a/../b", "kind": "host_path"}]},
     {"volumes": [{"folder": "/a", "kind": "nfs"}]}, {"volumes": [{"folder": "/a", "kind": "claim"}]},
     {"volumes": [{"folder": "/a", "kind": "host_path", "claim": "c"}]},
     *({"account_namespaces": text} for text in ("parasol", "{uid}-{uid}", "P-{uid}", "a" * 55 + "{uid}", "../{uid}", "x.{uid}", "-{uid}"))],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**wrong)


def test_an_accounts_namespace_follows_from_its_uid() -> None:
    assert settings().namespace_of(ADA) == "parasol"
    assert settings(account_namespaces="parasol-{uid}").namespace_of(ADA) == "parasol-4001"


# --- the guard, by the busybox or shell of this machine


def guarded(groups: str, uid: int) -> int:
    shell = ["busybox", "sh"] if shutil.which("busybox") else ["sh"]
    words = [
        "setpriv",
        "--no-new-privs",
        *shell,
        "-c",
        identity.GUARD.replace("/dev/termination-log", "/dev/null"),
    ]
    return subprocess.run([*words, "guard", groups, str(uid), "true"], capture_output=True, timeout=10).returncode


def test_the_guard_refuses_whoever_is_somebody_else() -> None:
    import os

    mine = " ".join(str(each) for each in sorted({os.getgid(), *os.getgroups()}))
    assert guarded(mine, os.getuid() + 1) == identity.GUARD_REFUSED
    assert guarded(f"{mine} 77777", os.getuid()) == identity.GUARD_REFUSED, "a group is missing"
    assert guarded("77777", os.getuid()) == identity.GUARD_REFUSED, "a group too many"


# --- a task's beginning


TASK = replace(
    SPEC, command=("reduce", "{results}", "$(x)"), task=Task("processed/p/t-1", '{"dataset": "d $(y)"}'), headers=(),
    mounts=(Mount("p", Path("/data/p"), read_only=False, within="processed"),),
)  # fmt: skip


def test_a_task_begins_with_its_folder_and_its_facts_are_in_the_secret() -> None:
    for cluster in (STRICT, objects.Cluster()):
        made = pod(TASK, cluster=cluster)
        command = made["containers"][0]["command"]
        assert command[:2] == [identity.PROGRAM, "sh"]
        assert command[-5:-3] == ["/workspace/processed/p/t-1", "/run/parasol/secret/task.json"]
        assert command[-3:] == ["reduce", "/workspace/processed/p/t-1", "$$(x)"]
        assert made["initContainers"], "with the guard's busybox, whatever the image has"
        assert "/workspace/processed/p" in [each["mountPath"] for each in made["containers"][0]["volumeMounts"]]
        assert "dataset" not in json.dumps(made), "facts are no words of the pod"
    meta = objects.metadata(TASK, "here", "parasol")
    assert objects.secret(TASK, ADA, "/home/ada", meta)["data"]["task.json"]
    assert is_task({"metadata": meta})
    assert not is_task({"metadata": objects.metadata(SPEC, "here", "parasol")})
    with pytest.raises(Unsupported):
        pod(TASK, guard_image="")


def begun(results: Path, told: Path, *command: str) -> int:
    box = shutil.which("busybox")
    assert box is not None
    words = task.begun(list(command), str(results))
    words = [
        box if word == identity.PROGRAM else word.replace("/dev/termination-log", "/dev/null") for word in words
    ]
    words = [str(told) if word.endswith("/task.json") and word.startswith("/run") else word for word in words]
    return subprocess.run(words, capture_output=True, timeout=10, env={"PATH": "/nowhere"}).returncode


@pytest.mark.needs("busybox")
def test_a_tasks_folder_is_its_own_and_nobody_elses_is_taken(tmp_path: Path) -> None:
    told, results = tmp_path / "told", tmp_path / "r s'"
    told.write_text('{"a": 1}')
    echo = ("/bin/sh", "-c", "echo out; echo bad >&2; exit 5")
    assert begun(results, told, *echo) == 5
    assert (results / "log.txt").read_text() == "out\nbad\n"
    assert (results / "task.json").read_text() == '{"a": 1}'
    modes = [path.stat().st_mode & 0o777 for path in (results, results / "log.txt", results / "task.json")]
    assert modes == [0o770, 0o660, 0o660]
    (results / "log.txt").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for taken in (results, tmp_path / "link", tmp_path / "missing" / "r"):
        assert begun(taken, told, *echo) == task.FAILED
    assert (results / "log.txt").read_text() == "kept"
    assert not (tmp_path / "elsewhere").exists()


# --- reading pods


def seen(phase: str = "Running", ready: dict[str, Any] | None = None, deleted: bool = False, **status: Any) -> Any:
    meta = {"name": "ws", "uid": "u", **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {})}
    conditions = [{"type": "PodScheduled", "status": "True"}, *([{"type": "Ready", **ready}] if ready else [])]
    return {"metadata": meta, "status": {"phase": phase, "conditions": conditions, **status}}


def container(kind: str, **state: Any) -> list[dict[str, Any]]:
    return [{"name": "workspace", "state": {kind: state}}]


def target(reason: str) -> dict[str, Any]:
    return {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": reason}]}


ENDS = [
    (seen("Failed", reason="Evicted", message="The node was low on resource: memory."), "EVICTED"),
    (seen("Failed", reason="Evicted", message='Usage of EmptyDir volume "work" exceeds the limit'), "OUT_OF_STORAGE"),
    (seen("Failed", reason="DeadlineExceeded"), "LIFETIME"),
    (seen("Failed", reason="NodeLost"), "NODE_LOST"),
    (seen("Failed", reason="Terminated"), "NODE_LOST"),
    (seen("Failed", reason="Preempting"), "PREEMPTED"),
    (seen("Failed", reason="OutOfcpu"), "NODE_REFUSED"),
    (seen("Failed", **target("PreemptionByScheduler")), "PREEMPTED"),
    (seen("Failed", **target("DeletionByTaintManager")), "NODE_LOST"),
    (seen("Failed", **target("EvictionByEvictionAPI")), "EVICTED"),
    (seen("Failed", containerStatuses=container("terminated", exitCode=137, reason="OOMKilled")), "OUT_OF_MEMORY"),
    (seen("Running", containerStatuses=container("terminated", exitCode=137, reason="OOMKilled")), "OUT_OF_MEMORY"),
    (seen("Failed", containerStatuses=container("terminated", exitCode=137, reason="Error")), "KILLED"),
    (seen("Failed", containerStatuses=container("terminated", exitCode=127, reason="Error")), "PROGRAM_NOT_STARTED"),
    (seen("Failed", containerStatuses=container("terminated", exitCode=128, reason="StartError")), "PROGRAM_NOT_STARTED"),
    (seen("Failed", containerStatuses=container("terminated", exitCode=86, reason="Error", message="parasol-guard: group\n")),
     "IMAGE_GRANTS_GROUP"),
    (seen("Failed", containerStatuses=container("terminated", exitCode=86, reason="Error")), "EXITED"),
    (seen("Failed", containerStatuses=container("terminated", exitCode=87, reason="Error", message="parasol-task: results\n")),
     "RESULTS_FAILED"),
    (seen("Failed", containerStatuses=container("terminated", exitCode=87, reason="Error")), "EXITED"),
    (seen("Failed", containerStatuses=container("terminated", exitCode=1, reason="Error")), "EXITED"),
    (seen("Failed"), "EXITED"),
    (seen("Succeeded", containerStatuses=container("terminated", exitCode=0)), ""),
    (seen("Running", deleted=True, containerStatuses=container("terminated", exitCode=0)), "REMOVED"),
    (seen("Failed", deleted=True, containerStatuses=container("waiting", reason="PodInitializing")), "REMOVED"),
    (seen("Failed", deleted=True, containerStatuses=container("terminated", exitCode=137, reason="OOMKilled")), "OUT_OF_MEMORY"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "reason"), ENDS)
def test_each_end_is_told_apart(what: Any, reason: str) -> None:
    judged = judge(what)
    assert (judged.seen.state, judged.seen.reason) == (RunState.GONE, reason)
    assert judged.seen.message.endswith(".")


def test_a_node_that_is_not_heard_of_leaves_it_unknown() -> None:
    for lost in (
        seen("Unknown"),
        seen(ready={"status": "Unknown"}),
        seen(ready={"status": "False", "reason": "NodeStatusUnknown"}),
    ):
        assert judge(lost).seen.state is RunState.UNKNOWN
        assert removed(lost).reason == "NODE_LOST", "and when the cluster has it no more, that is why"
    assert removed(seen(ready={"status": "True"})).reason == "REMOVED"
    assert removed(seen("Running", **target("EvictionByEvictionAPI"))).reason == "EVICTED"


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName",
                                    "CreateContainerConfigError", "CreateContainerError", "RunContainerError"])  # fmt: skip
def test_what_fails_to_start_says_so_while_it_tries(reason: str) -> None:
    judged = judge(seen("Pending", containerStatuses=container("waiting", reason=reason)))
    assert judged.seen.state is RunState.STARTING
    assert judged.failing in SENTENCES
    assert judge(seen("Pending", containerStatuses=container("waiting", reason="ContainerCreating"))).failing == ""
    for warned, code in (("FailedMount", "MOUNT_FAILED"), ("FailedCreatePodSandBox", "NETWORK_FAILED")):
        judged = judge(seen("Pending"), {warned: 7.0})
        assert (judged.failing, judged.for_s) == (code, 7.0)
        assert judge(seen("Pending"), {warned: 0.0}).failing == "", "the kubelet stumbled once and tries again"
        for past in (
            seen("Running"),
            seen("Pending", initContainerStatuses=container("terminated", exitCode=0)),
            seen("Pending", conditions=[{"type": "PodScheduled", "status": "True"}, STARTS]),
        ):
            assert judge(past, {warned: 7.0}).failing == "", "its folders and network are there: that is past"


STARTS = {"type": "PodReadyToStartContainers", "status": "True"}


def warned(reason: str, uid: str = "u", **times: object) -> dict[str, Any]:
    return {"reason": reason, "involvedObject": {"uid": uid}, **times}


def test_how_long_a_warning_lasts_is_what_the_cluster_says() -> None:
    at = "2026-11-25T17:32:{:02}Z".format
    events = [
        warned("FailedMount", firstTimestamp=at(10), lastTimestamp=at(10), count=1),
        warned("FailedMount", firstTimestamp=at(11), lastTimestamp=at(40), count=6),
        warned("FailedMount", uid="another", firstTimestamp=at(1), lastTimestamp=at(59)),
        warned("Once", firstTimestamp=at(10), lastTimestamp=at(10), eventTime=None, series=None),
        warned(
            "New",
            eventTime="2026-11-25T17:32:10.250000Z",
            series={"lastObservedTime": "2026-11-25T17:32:11.750000Z"},
        ),
        warned("Strange", firstTimestamp="yesterday", lastTimestamp=at(5), involvedObject={"uid": "u"}),
        warned("Bare"),
        {"reason": "Nobody's", "involvedObject": None},
    ]
    assert warnings_of(events, "u") == {"FailedMount": 30.0, "Once": 0.0, "New": 1.5, "Strange": 0.0, "Bare": 0.0}


def test_the_schedulers_sentence_carries_no_name_of_the_site() -> None:
    said = scheduler_says(
        "0/7 nodes are available: 3 Insufficient cpu, 2 Insufficient nvidia.com/gpu, 2 node(s) had taint {beamline/p06: secret}."
    )
    assert said.endswith(
        "(0 of 7 nodes have room): too few free CPUs, too few free GPUs, nodes that are kept for others."
    )
    assert scheduler_says("") == SENTENCES["UNSCHEDULABLE"]


@given(st.text(max_size=3000))
def test_whatever_a_scheduler_says_only_known_words_pass(text: str) -> None:
    said = scheduler_says(text)
    assert said.startswith(SENTENCES["UNSCHEDULABLE"][:-1])
    assert said.endswith(".")
    assert len(said) < 400
    assert "/" not in said


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["metadata", "status", "phase", "conditions", "containerStatuses", "state", "terminated", "reason", "type", "exitCode"]
    ), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["metadata", "status", "spec"]), JSON))
def test_whatever_is_no_pod_is_no_end(what: dict[str, Any]) -> None:
    try:
        judged = judge(what)
    except (KeyError, TypeError, ValueError, AttributeError):
        return
    if judged.seen.state is RunState.GONE:
        assert what["status"]["phase"] in ("Succeeded", "Failed", "Running")


def test_every_sentence_is_for_people() -> None:
    for code, sentence in SENTENCES.items():
        assert code.replace("_", "").isupper()
        assert sentence.endswith(".")
        assert "/" not in sentence


# --- nodes and addresses


def node(features: dict[str, Any] | None = None, **amounts: str) -> dict[str, Any]:
    return {"metadata": {"labels": {"kind": "x"}}, "status": {"allocatable": amounts, "features": features or {}}}


def test_a_cluster_is_strict_when_every_node_says_so() -> None:
    strict = {"supplementalGroupsPolicy": True}
    assert nodes.cluster([node(strict), node(strict)]).strict_groups
    assert not nodes.cluster([node(strict), node()]).strict_groups
    assert not nodes.cluster([]).strict_groups
    assert not nodes.cluster([node({"supplementalGroupsPolicy": "true"})]).strict_groups


def test_one_node_has_to_hold_it() -> None:
    there = [node(cpu="4", memory="8Gi"), node(cpu="64", memory="512Mi"), node(cpu="8000m", memory="16Gi")]
    small = replace(SIZE, gpus=0, storage=0)
    assert nodes.fits(there, replace(small, cpus=8), "")
    assert not nodes.fits(there, replace(small, cpus=9), ""), "together they could, none alone"
    assert not nodes.fits(there, replace(small, gpus=1), "nvidia.com/gpu")
    assert nodes.suitable(there, {"kind": "y"}) == []
    total = nodes.capacity(there)
    assert (total.cpus_total, total.memory_total) == (76, 24 * 2**30 + 512 * 2**20)


@pytest.mark.parametrize(
    ("text", "amount"), [("1", 1), ("250m", 0.25), ("1Ki", 1024), ("2G", 2e9), ("x", 0), ("-1", 0), ("", 0)]
)
def test_quantities(text: str, amount: float) -> None:
    assert nodes.quantity(text) == pytest.approx(amount)


@pytest.mark.parametrize(
    "text", ["", "x", "127.0.0.1", "::1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "10.0.0.1; id"]
)
def test_no_relay_leads_to_the_agents_own_machine(text: str) -> None:
    assert not is_pod_address(text)
    assert is_pod_address("10.88.99.7")


def test_what_is_refused_is_one_sentence() -> None:
    for wrong in (replace(ADA, uid=65_534), replace(ADA, username="a:b"), replace(ADA, groups=(2**31,))):
        with pytest.raises(ParasolError) as refused:
            pod(account=wrong)
        assert refused.value.message.endswith(".")
