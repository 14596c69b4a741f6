"""Whom a workspace's program is, and what it cannot reach: asked and tried from within."""

from __future__ import annotations

import json
from typing import Any

from deploy.demo.ground import Ground
from deploy.demo.journey import must
from deploy.demo.people import PEOPLE
from deploy.demo.world import World

SEEN = """
import errno, glob, json, os, pathlib, pwd, subprocess

def code(*words):
    try:
        return subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL).returncode
    except OSError:
        return "not there"

token = os.environ.get("JUPYTER_TOKEN") or open(os.environ["JUPYTER_TOKEN_FILE"]).read()

def words_of(path):
    try:
        return open(path, errors="replace").read()
    except OSError:
        return ""

def reads(path):
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        return error.errno == errno.ENXIO  # a socket, which could be asked
    return True

def outcome(do):
    try:
        return repr(do())
    except Exception as error:
        return type(error).__name__

print(json.dumps({
    "uids": os.getresuid(), "gids": os.getresgid(), "groups": sorted({*os.getgroups(), os.getgid()}),
    "name": pwd.getpwuid(os.getuid()).pw_name, "whoami": subprocess.run(["whoami"], capture_output=True, text=True).stdout.strip(),
    "home": os.path.expanduser("~"), "privileges": [line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapPrm", "CapEff"))],
    "root": [outcome(lambda: os.setuid(0)), outcome(lambda: os.seteuid(0)), outcome(lambda: os.setgroups([0]))],
    "sudo": [code("su", "-c", "true"), code("unshare", "--mount", "true"), code("sudo", "-n", "true")],
    "reached": [path for path in REACH if reads(path)],
    "secrets": [words for words in map(words_of, glob.glob("/proc/[0-9]*/cmdline")) if token in words],
}))
"""


def agents_own(world: World) -> list[str]:
    """The paths of what is the agent's alone: its socket first, key, store, configuration, secrets."""
    names = ("run/s", "run", "agent.toml", "agent.key", "state", "state/agent.sqlite3", "umbrella.secret")
    return [str(world.folder / "a" / name) for name in names]


def as_the_account(kernel: Any, ground: Ground, world: World, dataset: dict[str, Any]) -> None:
    """Ada's uid, gid and every group; no way to become root; no proposal but the chosen one, nor anything of the agent's."""
    person = PEOPLE[0]
    username, _, uid = person.accounts["alpha"]
    own = person.proposals["alpha"]
    not_chosen = [proposal for proposal in ground.groups if proposal != dataset["proposal"]]
    must(not {*own}.isdisjoint(not_chosen), "Ada has no other proposal to try")
    others = [str(world.folder / kind / "alpha" / each) for kind in ("data", "processed") for each in not_chosen]
    reach = [*others, *agents_own(world)]
    seen = json.loads(kernel.run(f"REACH = {reach!r}\n{SEEN}"))
    must(seen["uids"] == [uid] * 3 and seen["gids"] == [uid] * 3, f"{seen}")
    must(seen["groups"] == sorted([uid, *ground.groups_of(own)]), f"groups: {seen['groups']}")
    must(seen["name"] == seen["whoami"] == username, f"it calls itself {seen['name']}, {seen['whoami']}")
    must(set(seen["root"]) == {"PermissionError"} and all(seen["sudo"]), f"root: {seen['root']} {seen['sudo']}")
    must({int(power, 16) for power in seen["privileges"]} == {0}, f"it has powers: {seen['privileges']}")
    must(not seen["reached"], f"it can read {seen['reached']}")
    must(not seen["secrets"], "its secret stands in a command line that it sees")
