"""What the helper must refuse: each attack is answered in one sentence, and leaves no trace."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.components import ROOT
from tests.privileged.site import AGENT, PROGRAM, HelperSite, as_other, as_root, helper_site

pytestmark = pytest.mark.needs("root")


def order(site: HelperSite, **changes: Any) -> dict[str, Any]:
    """A start that the helper would carry out."""
    return {
        "id": str(uuid.uuid4()), "username": "ada", "uid": site.ada.uid, "gid": site.ada.gid,
        "groups": list(site.ada.groups), "home": str(site.ada.home), "command": [PROGRAM, "-S", "-c", "pass"],
        "variables": {}, "task": None, "mounts": [], "readable": ["/usr", "/lib", "/lib64", "/etc", "/proc"], "writable": [],
        "cpus": 1, "memory": 2**30, "grace_s": 1, **changes,
    }  # fmt: skip


def refused(site: HelperSite, answer: dict[str, Any], reason: str = "INVALID_REQUEST") -> str:
    """Its sentence; it has made nothing, and still answers."""
    assert set(answer) == {"reason", "error"}
    assert answer["reason"] == reason, answer
    sentence: str = answer["error"]
    assert sentence.endswith(".")
    assert len(sentence.splitlines()) == 1
    assert site.traces() == []
    assert "ok" in site.ask("describe")
    return sentence


def test_what_the_attacks_change_would_start(site: HelperSite) -> None:
    assert site.ask("start", **order(site)) == {"ok": {}}
    assert site.traces() != []


# --- who

WHO: list[dict[str, Any]] = [
    {"uid": 33}, {"uid": 999}, {"uid": 65535}, {"uid": AGENT}, {"gid": 33}, {"gid": AGENT}, {"groups": [999]},
    {"groups": [61_301, 4]}, {"groups": [AGENT]},
]  # fmt: skip
NOBODY: list[dict[str, Any]] = [
    {"uid": 0}, {"uid": -1}, {"uid": 2**32 - 1}, {"uid": 2**32 - 2}, {"uid": 2**32}, {"uid": 2**64}, {"uid": "61201"},
    {"uid": None}, {"uid": True}, {"uid": 61201.0}, {"gid": 0}, {"gid": 2**32 - 1}, {"gid": None}, {"groups": [0]},
    {"groups": [61_301, 0]}, {"groups": [-1]}, {"groups": None}, {"groups": "0"}, {"username": ""}, {"username": "-x"},
    {"username": "a b"}, {"username": "ada\n"},
]  # fmt: skip


@pytest.mark.parametrize("change", WHO, ids=str)
def test_system_accounts_and_the_agents_own_are_refused(site: HelperSite, change: dict[str, Any]) -> None:
    refused(site, site.ask("start", **order(site, **change)), "IDENTITY_REFUSED")


@pytest.mark.parametrize("change", NOBODY, ids=str)
def test_root_and_what_is_no_account_are_refused(site: HelperSite, change: dict[str, Any]) -> None:
    refused(site, site.ask("start", **order(site, **change)))


@pytest.mark.parametrize("field", ["uid", "gid", "groups", "username", "home"])
def test_an_account_that_is_not_whole_is_refused(site: HelperSite, field: str) -> None:
    whole = order(site)
    del whole[field]
    assert "exactly these fields" in refused(site, site.ask("start", **whole))


@pytest.fixture
def known() -> Iterator[HelperSite]:
    """A helper that asks its system, which knows ada, and an account in a group without a name."""
    with helper_site(nss=True) as site:
        files = site.folder / "etc"
        with as_root():
            files.mkdir()
            (files / "passwd").write_text(
                "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\nada:x:61201:61201::/:/bin/sh\n"
                "lost:x:61209:61999::/:/bin/sh\nwww:x:33:33::/:/bin/sh\n"
            )
            (files / "group").write_text(
                "nogroup:x:65534:\nada:x:61201:\ng1:x:61301:ada\ng2:x:61401:ada,x\ng3:x:61501:x\n"
            )
            (files / "nsswitch.conf").write_text("passwd: files\ngroup: files\ninitgroups: files\n")
        mounts = "; ".join(
            f"mount --bind {files / name} /etc/{name}" for name in ("passwd", "group", "nsswitch.conf")
        )
        site.start("unshare", "--mount", "sh", "-ec", f'{mounts}; exec "$@"', "-")
        yield site


def test_an_account_that_the_system_knows_is_started(known: HelperSite) -> None:
    assert known.ask("start", **order(known)) == {"ok": {}}


@pytest.mark.parametrize(
    "change",
    [
        {"username": "unknown"}, {"username": "ben", "uid": 61_202}, {"uid": 61_202}, {"gid": 61_301}, {"groups": []},
        {"groups": [61_301]}, {"groups": [61_301, 61_401, 61_501]}, {"groups": [61_301, 61_402]},
        {"username": "lost", "uid": 61_209, "gid": 61_999, "groups": []}, {"username": "www", "uid": 33, "gid": 33},
        {"username": "root"},
    ],
    ids=str,
)  # fmt: skip
def test_who_is_not_exactly_as_the_system_knows_them_is_refused(known: HelperSite, change: dict[str, Any]) -> None:
    refused(known, known.ask("start", **order(known, **change)), "IDENTITY_REFUSED")


def test_a_system_that_cannot_tell_starts_nothing_and_refuses_nobody_for_good(known: HelperSite) -> None:
    switch, whole = known.folder / "etc" / "nsswitch.conf", order(known)
    kept = switch.read_text()
    with as_root():
        switch.write_text("passwd: no_such_source\ngroup: no_such_source\ninitgroups: no_such_source\n")
    refused(known, known.ask("start", **whole), "BACKEND_UNAVAILABLE")
    with as_root():
        switch.write_text(kept)
    assert known.ask("start", **whole) == {"ok": {}}


def test_a_workspace_is_nobody_elses(site: HelperSite) -> None:
    mine = order(site)
    assert site.ask("start", **mine) == {"ok": {}}
    stolen = site.ask("start", **{**mine, "username": "ben", "uid": 61_202, "gid": 61_202})
    assert stolen["reason"] == "CONFLICT"


def test_a_group_below_the_bound_is_allowed_by_its_number() -> None:
    with helper_site(also_groups=[100]) as site:
        site.start()
        refused(site, site.ask("start", **order(site, gid=101)), "IDENTITY_REFUSED")
        assert site.ask("start", **order(site, gid=100)) == {"ok": {}}


# --- the message

DEEP = b'{"verb": "look", "ids": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b'"start"', b"\xff\xfe", b'{"verb": 1}', b'{"verb": null}', b'{"verb": []}', b"{}",
        b'{"verb": "exec"}', b'{"verb": "START"}', b'{"verb": "__class__"}', b'{"verb": "describe", "x": 1}',
        b'{"verb": "describe", "verb": "describe"}', b'{"verb": "look"}', b'{"verb": "look", "ids": "x"}', DEEP,
        b'{"verb": "look", "ids": ["../../etc/passwd"]}', b'{"verb": "stop", "id": "../x"}', b'{"verb": "stop", "id": 1}',
        b'{"verb": "look", "ids": ["\\ud800"]}', b'{"verb": "share", "id": "00000000-0000-4000-8000-000000000000\\n"}',
        json.dumps({"verb": "look", "ids": [str(uuid.uuid4())] * 5001}).encode(),
    ],
    ids=range(24),
)  # fmt: skip
def test_a_malformed_message_changes_nothing(site: HelperSite, body: bytes) -> None:
    refused(site, site.say(body))


def test_ten_megabytes_are_refused_before_they_are_read(site: HelperSite) -> None:
    assert "too long" in refused(site, site.say(b"x" * 10 * 2**20))
    assert "too long" in refused(site, site.say(b"", 2**32 - 1))


@pytest.mark.parametrize("size", [0, 1, 3, 40])
def test_half_a_message_is_refused(site: HelperSite, size: int) -> None:
    whole = json.dumps({"verb": "start", **order(site)}).encode()
    assert "half-way" in refused(site, site.say(whole[:size], len(whole)))


def test_half_a_length_is_refused(site: HelperSite) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(site.socket))
        connection.sendall(b"\0\0")
        connection.shutdown(socket.SHUT_WR)
        assert b"half-way" in connection.recv(65536)
    assert site.traces() == []


def test_a_message_that_never_ends_keeps_nobody_waiting(site: HelperSite) -> None:
    with socket.socket(socket.AF_UNIX) as slow:
        slow.connect(str(site.socket))
        slow.sendall(b"\0\0\0\x10{")
        assert "ok" in site.ask("describe")


@pytest.mark.parametrize(
    "change",
    [
        {"id": "x"}, {"id": str(uuid.uuid4()).upper()}, {"cpus": 0}, {"cpus": -1}, {"cpus": True}, {"memory": 0},
        {"memory": 2**60}, {"grace_s": 10**6}, {"home": "home"}, {"home": "/home/../etc"}, {"home": "/x\0"},
        {"command": []}, {"command": [1]}, {"command": [PROGRAM, "a\0b"]}, {"variables": {"SECRET": "a\0b"}},
        {"variables": {"SECRET": 1}}, {"variables": []}, {"mounts": [["../x", "/data", True]]}, {"mounts": [["a/b/c", "/d", True]]}, {"mounts": [["a/..", "/d", True]]}, {"mounts": [["/a", "/d", True]]},
        {"mounts": [["..", "/data", True]]}, {"mounts": [["x", "data", True]]}, {"mounts": [["x", "/data", 1]]},
        {"readable": ["/a/../b"]}, {"extra": 1}, {"command": [PROGRAM, *["x"] * 1000]},
    ],
    ids=lambda change: str(change)[:60],
)  # fmt: skip
def test_a_field_out_of_bounds_changes_nothing(site: HelperSite, change: dict[str, Any]) -> None:
    refused(site, site.ask("start", **order(site, **change)))


# --- what


@pytest.mark.parametrize(
    "path", ["/bin/sh", "/usr/bin/id", "/usr/bin/python3", "python3", "", f"{PROGRAM} ", f"/{PROGRAM}"]
)
def test_a_program_that_is_not_in_the_list_is_refused(site: HelperSite, path: str) -> None:
    refused(site, site.ask("start", **order(site, command=[path])))


def test_another_way_to_a_program_is_another_program(site: HelperSite) -> None:
    link = site.agent / "link"
    link.symlink_to(PROGRAM)
    folder, name = os.path.split(PROGRAM)
    for path in (
        str(link),
        f"{folder}/../{os.path.basename(folder)}/{name}",
        f"{folder}/./{name}",
        f"{folder}//{name}",
    ):
        refused(site, site.ask("start", **order(site, command=[path])))


@pytest.mark.parametrize(
    "name", ["LD_PRELOAD", "LD_AUDIT", "PATH", "HOME", "PYTHONPATH", "BASH_ENV", "", "A=B", "SECRET\n"]
)
def test_a_variable_that_is_not_in_the_list_is_refused(site: HelperSite, name: str) -> None:
    refused(site, site.ask("start", **order(site, variables={"SECRET": "x", name: "/tmp/evil.so"})))


# --- peers

ASK = """
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
body = b'{"verb": "describe"}'
try:
    s.sendall(len(body).to_bytes(4, "big") + body)
except BrokenPipeError:
    pass
print(s.recv(65536)[4:].decode())
"""


def ask_as(site: HelperSite, uid: int, gid: int) -> subprocess.CompletedProcess[str]:
    return as_other(uid, gid, PROGRAM, "-S", "-c", ASK, str(site.socket))


def test_it_answers_the_agent_alone(site: HelperSite) -> None:
    assert json.loads(ask_as(site, AGENT, AGENT).stdout)["ok"]["programs"] == [PROGRAM]
    for uid in (site.ada.uid, 0):
        answer = json.loads(ask_as(site, uid, AGENT).stdout)
        assert refused(site, answer, "ACCESS_DENIED") == "The helper answers the agent alone."


def test_others_do_not_even_reach_its_socket(site: HelperSite) -> None:
    done = ask_as(site, site.ada.uid, site.ada.gid)
    assert "PermissionError" in done.stderr
    assert done.returncode != 0


def test_a_second_helper_does_not_take_the_place_of_the_first(site: HelperSite) -> None:
    with as_root():
        done = subprocess.run(site.command(), capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stderr) == (1, "Another helper runs on this state already.\n")
    assert "ok" in site.ask("describe")


# --- its configuration


def says(site: HelperSite) -> str:
    """Why it does not start."""
    with as_root():
        done = subprocess.run([*site.command(), "--check"], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


@pytest.fixture
def idle() -> Iterator[HelperSite]:
    with helper_site() as site:
        yield site


def test_a_good_configuration_is_good(idle: HelperSite) -> None:
    with as_root():
        subprocess.run([*idle.command(), "--check"], check=True, cwd=ROOT, timeout=60)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"agent": "root"}, "a user that is not root"), ({"agent": "no-such-user"}, "no such agent's user"),
        ({"agent": 0}, "agent"), ({"programs": []}, "name programs"), ({"programs": [{"path": "/no/such"}]}, "No such file"),
        ({"programs": [{"path": "usr/bin/id"}]}, "absolute"), ({"programs": ["/bin/sh"]}, "each has a path"),
        ({"programs": [{"path": PROGRAM, "shell": True}]}, "each has a path"), ({"programs": [{"path": "/etc/passwd"}]}, "not executable"),
        ({"programs": [{"path": PROGRAM, "variables": ["LD_PRELOAD"]}]}, "LD_PRELOAD"),
        ({"programs": [{"path": PROGRAM, "variables": ["PATH"]}]}, "PATH"), ({"least_uid": 0}, "at least 100"),
        ({"least_gid": 99}, "at least 100"), ({"also_groups": [0]}, "at least 100"), ({"also_groups": ["x"]}, "at least 100"), ({"unknown": 1}, "not a known key"), ({"nss": 0}, "nss"), ({"state": "/no/such"}, "No such file"),
    ],
    ids=str,
)  # fmt: skip
def test_a_mistake_is_one_sentence_and_no_start(idle: HelperSite, settings: dict[str, Any], sentence: str) -> None:
    with as_root():
        idle.configure(**settings)
    assert sentence in says(idle)


def test_what_others_could_change_is_not_trusted(idle: HelperSite) -> None:
    with as_root():
        idle.configuration.chmod(0o666)
    assert "can be changed by others" in says(idle)
    with as_root():
        idle.configuration.chmod(0o644)
        shutil.copy(PROGRAM, idle.folder / "mine")
        os.chown(idle.folder / "mine", AGENT, AGENT)
        idle.configure(programs=[{"path": str(idle.folder / "mine")}])
    assert "can be changed by others" in says(idle)
    with as_root():
        shutil.copy(PROGRAM, idle.agent / "roots")  # a file of root's in a folder of the agent's
        idle.configure(programs=[{"path": str(idle.agent / "roots")}])
    assert "can be changed by others" in says(idle)
    with as_root():
        (idle.folder / "link").symlink_to(PROGRAM)
        idle.configure(programs=[{"path": str(idle.folder / "link")}])
    assert "without links" in says(idle)


def test_a_folder_that_accounts_cannot_enter_is_a_mistake(idle: HelperSite) -> None:
    with as_root():
        idle.workspaces.chmod(0o700)
    assert "0711" in says(idle)


def test_it_does_not_run_as_an_ordinary_user(idle: HelperSite) -> None:
    done = as_other(AGENT, AGENT, "env", f"PYTHONPATH={ROOT}", sys.executable, *idle.command()[1:])
    assert (done.returncode, done.stderr) == (2, "The helper runs as root.\n")
    assert not Path(idle.socket).exists()
