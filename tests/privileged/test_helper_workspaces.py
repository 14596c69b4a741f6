"""What a program that the helper started is, has and can reach."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import socket
import uuid
from pathlib import Path
from typing import Any

import pytest

from facility_agent.ports.compute import Mount, Observation, RunState
from facility_agent.ports.directory import Account
from facility_agent.testing.patience import eventually
from shared.errors import BackendError, BackendUnavailable, IdentityRefused
from tests.contracts.compute_worlds import SERVER, command_lines, server_spec
from tests.privileged.site import AGENT, PROGRAM, HelperSite, as_other, as_root

pytestmark = pytest.mark.needs("root")
SEEN = """
import json, os, resource
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
mask = os.umask(0)
print(json.dumps({
    "uids": os.getresuid(), "gids": os.getresgid(), "groups": sorted(os.getgroups()), "umask": mask,
    "status": {k: status[k] for k in ("NoNewPrivs", "CapInh", "CapPrm", "CapEff", "CapAmb")}, "cwd": os.getcwd(),
    "session": os.getsid(0) == os.getpid(), "environment": dict(os.environ), "files": sorted(os.listdir("/proc/self/fd")),
    "core": resource.getrlimit(resource.RLIMIT_CORE), "data": resource.getrlimit(resource.RLIMIT_DATA),
    "processes": resource.getrlimit(resource.RLIMIT_NPROC), "cpus": len(os.sched_getaffinity(0)),
    "ignored": status["SigIgn"].strip(), "blocked": status["SigBlk"].strip(),
}))
"""


async def look(site: HelperSite, handle: str) -> Observation:
    return (await site.backend("mine").inspect([handle]))[handle]


async def run(site: HelperSite, script: str, *mounts: Mount, account: Account | None = None) -> str:
    """What a workspace's program wrote, once it has ended."""
    spec = server_spec(command=(PROGRAM, "-S", "-c", script, "{socket}"), mounts=mounts)
    handle = await site.backend("mine").start(spec, account or site.ada)

    async def ended() -> bool:
        return (await look(site, handle)).state is RunState.GONE

    await eventually(ended, "the program has ended")
    return await site.backend("mine").logs(handle)


async def serve(site: HelperSite, account: Account, script: str = SERVER) -> str:
    """A workspace that serves."""
    handle = await site.backend("mine").start(
        server_spec(command=(PROGRAM, "-S", "-c", script, "{socket}")), account
    )

    async def runs() -> bool:
        return (await look(site, handle)).state is RunState.RUNNING

    await eventually(runs, "it runs")
    return handle


async def test_it_is_the_account_with_every_group_and_nothing_of_root(site: HelperSite) -> None:
    seen: dict[str, Any] = json.loads(await run(site, SEEN))
    ada = site.ada
    assert seen["uids"] == [ada.uid] * 3
    assert seen["gids"] == [ada.gid] * 3
    assert seen["groups"] == sorted({ada.gid, *ada.groups})
    assert seen["status"].pop("NoNewPrivs").strip() == "1"
    assert {int(power, 16) for power in seen["status"].values()} == {0}
    assert seen["umask"] == 0o077
    assert seen["session"]
    assert seen["core"] == [0, 0]
    assert seen["data"] == [2**30, 2**30]
    assert seen["processes"] == [4096, 4096]
    assert seen["cpus"] == 1
    own = 1 << 12 | 1 << 24 | 3 << 31  # Python's: SIGPIPE, SIGXFSZ; what glibc's posix_spawn does to its own two
    assert (int(seen["ignored"], 16) & ~own, int(seen["blocked"], 16)) == (0, 0)


async def test_its_environment_and_files_are_new(site: HelperSite) -> None:
    seen: dict[str, Any] = json.loads(await run(site, SEEN))
    place = Path(seen["cwd"]).parent
    secret = seen["environment"].pop("SECRET")
    assert len(secret) > 30
    own = site.ada.home / ".parasol" / "packages"
    path = seen["environment"].pop("PATH")
    assert path.startswith(f"{os.path.dirname(PROGRAM)}:")
    assert path.endswith(f":{own}/bin")
    assert seen["environment"] == {
        "HOME": str(site.ada.home), "USER": "ada", "LOGNAME": "ada", "LANG": "C.UTF-8", "TMPDIR": str(place / "tmp"),
        "PYTHONUSERBASE": f"{own}", "PIP_USER": "1", "CONDA_ENVS_DIRS": f"{own}/conda/envs",
        "CONDA_PKGS_DIRS": f"{own}/conda/pkgs",
    } | {key: value for key, value in seen["environment"].items() if key == "LC_CTYPE"}  # fmt: skip
    assert seen["files"] == ["0", "1", "2", "3"], "3 is the listing itself"
    assert place.parent == site.workspaces


async def test_a_setuid_program_gives_nothing(site: HelperSite) -> None:
    setuid = site.folder / "id"
    with as_root():
        shutil.copy("/usr/bin/id", setuid)
        setuid.chmod(0o4755)
    assert as_other(site.ada.uid, site.ada.gid, str(setuid), "-u").stdout.strip() == "0", (
        "without the helper it does"
    )
    said = await run(
        site, f"import subprocess; print(subprocess.run([{str(setuid)!r}, '-u'], capture_output=True, text=True).stdout)",
        Mount("tool", site.folder),
    )  # fmt: skip
    assert said.strip() == str(site.ada.uid)


async def test_a_file_for_every_group_can_be_read_and_no_other(site: HelperSite) -> None:
    data = site.folder / "data"
    with as_root():
        data.mkdir()
        for gid in (*site.ada.groups, 61_999):
            (data / str(gid)).write_text("measured")
            os.chown(data / str(gid), 0, gid)
            (data / str(gid)).chmod(0o640)
    script = f"""
import os
for gid in {[*site.ada.groups, 61_999]}:
    try:
        print(gid, open(os.path.join("proposals/data", str(gid))).read())
    except PermissionError:
        print(gid, "closed")
"""
    said = (await run(site, script, Mount("data", data))).split("\n")
    assert said[:3] == [f"{site.ada.groups[0]} measured", f"{site.ada.groups[1]} measured", "61999 closed"]


@pytest.mark.needs("landlock")
async def test_a_proposal_is_read_only_also_where_the_account_may_write(site: HelperSite) -> None:
    data, other = site.ada.home / "data", site.ada.home.parent / "other"
    with as_root():
        for folder in (data, other):
            folder.mkdir()
            os.chown(folder, site.ada.uid, site.ada.gid)
            (folder / "file").write_text("measured")
            (folder / "file").chmod(0o644)
    script = """
import sys
for path, mode in (("proposals/o/file", "r"), ("proposals/o/new", "w"), (sys.argv[2], "r"), ("scratch/x", "w")):
    try:
        open(path, mode).close(); print(mode, "yes")
    except PermissionError:
        print(mode, "no")
"""
    spec = server_spec(
        command=(PROGRAM, "-S", "-c", script, "x", str(data / "file").replace("/ada/", "/other/../ben/")),
        mounts=(Mount("o", other),),
    )
    handle = await site.backend("mine").start(spec, site.ada)

    async def ended() -> bool:
        return (await look(site, handle)).state is RunState.GONE

    await eventually(ended, "the program has ended")
    said = (await site.backend("mine").logs(handle)).splitlines()
    assert said == ["r yes", "w no", "r no", "w yes"]


async def test_two_accounts_do_not_reach_each_other(site: HelperSite) -> None:
    handle = await serve(site, site.ada)
    place = site.workspaces / handle
    with as_root():
        (place / "work" / "mine").write_text("private")
        os.chown(place / "work" / "mine", site.ada.uid, site.ada.gid)
        (place / "work" / "mine").chmod(0o666)
        record = json.loads((site.state / f"{handle}.run").read_text())
        child = int(Path(f"/proc/{record['pid']}/task/{record['pid']}/children").read_text())
    endpoint = await site.backend("mine").endpoint(handle)
    assert endpoint is not None
    secret = dict(endpoint.headers)["Authorization"].removeprefix("token ")
    asked = [
        ["cat", str(place / "work" / "mine")], ["cat", f"/proc/{child}/environ"], ["ls", str(place / "run")],
        ["cat", str(place / "log")], ["touch", str(place / "x")], ["cat", str(site.state / f"{handle}.json")],
        ["kill", "-9", str(child)], ["kill", "-9", str(record["pid"])], ["ls", str(site.agent)], ["ls", str(site.ada.home)],
    ]  # fmt: skip
    for command in asked:
        done = as_other(site.ben.uid, site.ben.gid, *command)
        assert done.returncode != 0, command
        assert secret not in done.stdout
    assert as_other(site.ada.uid, site.ada.gid, *asked[0]).stdout == "private", "its owner does"
    assert secret in as_other(site.ada.uid, site.ada.gid, *asked[1]).stdout
    assert (await look(site, handle)).state is RunState.RUNNING


async def test_an_account_has_no_power_over_its_keeper_and_records(site: HelperSite) -> None:
    script = """
import os, signal, socket, sys
place = os.path.dirname(os.getcwd())
def tried(what, act):
    try:
        act(); print(what, "done")
    except OSError as error:
        print(what, "refused")
tried("kill", lambda: os.kill(os.getppid(), signal.SIGKILL))
tried("make", lambda: open(place + "/x", "w"))
tried("replace", lambda: os.rename(place + "/log", place + "/log2"))
tried("root", lambda: os.setuid(0))
tried("group", lambda: os.setgroups([0]))
tried("helper", lambda: socket.socket(socket.AF_UNIX).connect(sys.argv[2]))
"""
    spec = server_spec(command=(PROGRAM, "-S", "-c", script, "x", str(site.socket)))
    handle = await site.backend("mine").start(spec, site.ada)

    async def ended() -> bool:
        return (await look(site, handle)).state is RunState.GONE

    await eventually(ended, "the program has ended")
    said = (await site.backend("mine").logs(handle)).splitlines()
    assert said == [f"{what} refused" for what in ("kill", "make", "replace", "root", "group", "helper")]


async def test_what_left_its_session_is_ended_too(site: HelperSite) -> None:
    mark = secrets.token_hex(8)
    stray = (
        f"""
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv({PROGRAM!r}, [{PROGRAM!r}, "-S", "-c", "import signal; signal.signal(15, signal.SIG_IGN); signal.pause()", {mark!r}])
    os._exit(0)
"""
        + SERVER
    )
    handle = await serve(site, site.ada, stray)

    def strays() -> int:
        return sum(line.rstrip().endswith(mark) for line in command_lines())

    async def there() -> bool:
        return strays() == 1

    await eventually(there, "it has a child in a session of its own")
    await site.backend("mine").stop(handle)
    assert strays() == 0
    assert (await look(site, handle)).state is RunState.GONE


async def test_a_keeper_that_was_killed_is_a_lost_node(site: HelperSite) -> None:
    handle = await serve(site, site.ada)
    with as_root():
        os.kill(json.loads((site.state / f"{handle}.run").read_text())["pid"], signal.SIGKILL)

    async def gone() -> bool:
        return (await look(site, handle)).state is RunState.GONE

    await eventually(gone, "it is gone")
    assert (await look(site, handle)).reason == "NODE_LOST"

    async def dead() -> bool:
        return not any(handle in line for line in command_lines())

    await eventually(dead, "the workspace dies with its keeper", 5)


def test_an_end_is_never_mistaken_for_a_loss(site: HelperSite) -> None:
    from tests.privileged.test_helper_attacks import order

    for _ in range(20):
        whole = order(site)
        assert site.ask("start", **whole) == {"ok": {}}
        seen = []
        while not seen or seen[-1] != "ended":
            seen.append(site.ask("look", ids=[whole["id"]])["ok"][whole["id"]]["state"])
        assert set(seen) <= {"runs", "ended"}


async def test_a_start_that_never_reached_the_helper_can_be_asked_again(site: HelperSite) -> None:
    backend = site.backend("mine")
    spec = server_spec(command=(PROGRAM, "-S", "-c", SERVER, "{socket}"))
    site.kill()
    with pytest.raises(BackendUnavailable):
        await backend.start(spec, site.ada)
    known = site.agent / "mine" / f"{spec.workspace_id}.json"
    os.utime(known, (1, 1))  # long ago
    assert await backend.list_owned() == {spec.workspace_id: spec.workspace_id}, "nobody can tell yet"
    assert (await look(site, spec.workspace_id)).state is RunState.UNKNOWN
    site.start()
    assert (await look(site, spec.workspace_id)).state is RunState.GONE
    handle = await backend.start(spec, site.ada)

    async def runs() -> bool:
        return (await look(site, handle)).state is RunState.RUNNING

    await eventually(runs, "it runs")
    await backend.stop(handle)


async def test_what_never_started_and_was_stopped_stays_so(site: HelperSite) -> None:
    backend = site.backend("mine")
    spec = server_spec(command=(PROGRAM, "-S", "-c", SERVER, "{socket}"))
    site.kill()
    with pytest.raises(BackendUnavailable):
        await backend.start(spec, site.ada)
    os.utime(site.agent / "mine" / f"{spec.workspace_id}.json", (1, 1))
    site.start()
    await backend.stop(spec.workspace_id)
    assert await backend.list_owned() == {}
    assert await backend.start(spec, site.ada) == spec.workspace_id
    assert site.traces() == []


@pytest.mark.parametrize("target", ["another workspace", "the helper"])
async def test_a_link_in_place_of_the_socket_leads_nowhere(site: HelperSite, target: str) -> None:
    bens = await serve(site, site.ben)
    there = site.socket if target == "the helper" else site.workspaces / bens / "run" / "s"
    script = f"import os, signal, sys; os.symlink({str(there)!r}, sys.argv[1]); print('linked', flush=True); signal.pause()"
    handle = await site.backend("mine").start(
        server_spec(command=(PROGRAM, "-S", "-c", script, "{socket}")), site.ada
    )

    async def linked() -> bool:
        return "linked" in await site.backend("mine").logs(handle)

    await eventually(linked, "the link is there")
    assert (await look(site, handle)).state is RunState.STARTING
    assert await site.backend("mine").endpoint(handle) is None
    await site.backend("mine").stop(handle)
    assert (await look(site, bens)).state is RunState.RUNNING


# --- what the agent says of it


async def test_a_home_that_is_not_there_is_said_to_the_person(site: HelperSite) -> None:
    with as_root():
        site.ada.home.rmdir()
    with pytest.raises(BackendError, match="home folder") as refused:
        await site.backend("mine").start(server_spec(command=(PROGRAM, "-S", "-c", "pass")), site.ada)
    assert "/" not in refused.value.message
    assert await site.backend("mine").list_owned() == {}


async def test_a_refused_identity_starts_nothing(site: HelperSite) -> None:
    daemon = Account("daemon", "id-daemon", 2, 2, (), site.ada.home)
    with pytest.raises(IdentityRefused) as refused:
        await site.backend("mine").start(server_spec(command=(PROGRAM, "-S", "-c", "pass")), daemon)
    assert "daemon" not in refused.value.message
    assert site.traces() == []
    assert await site.backend("mine").list_owned() == {}


async def test_a_helper_that_is_not_roots_is_told_nothing(site: HelperSite) -> None:
    site.kill()
    with as_root():
        site.socket.unlink()
        os.chown(site.socket.parent, AGENT, AGENT)
    with socket.socket(socket.AF_UNIX) as false:
        false.bind(str(site.socket))
        false.listen()
        with pytest.raises(BackendUnavailable):
            await site.backend("mine").start(server_spec(command=(PROGRAM, "-S", "-c", "pass")), site.ada)
        heard, _ = false.accept()
        with heard:
            assert await asyncio.to_thread(heard.recv, 65536) == b""


def test_the_check_names_a_helper_that_is_away_or_means_another_folder(site: HelperSite) -> None:
    assert list(site.backend("mine").faults()) == []
    other = site.backend("mine")
    object.__setattr__(other._means, "folder", site.folder / "elsewhere")
    assert [fault.setting for fault in other.faults()] == ["folder"]
    site.kill()
    assert [fault.setting for fault in site.backend("mine").faults()] == ["helper"]


def test_ids_that_it_never_had_are_none(site: HelperSite) -> None:
    name = str(uuid.uuid4())
    assert site.ask("look", ids=[name]) == {"ok": {name: {"state": "none"}}}
    assert site.ask("stop", id=name) == {"ok": {"state": "none"}}
    assert site.ask("share", id=name)["reason"] == "NOT_FOUND"
    assert site.traces() == []
