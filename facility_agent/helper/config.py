"""The helper's own configuration: for whom it works, as whom it starts, and what. Only root can write it."""

from __future__ import annotations

import os
import pwd
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEYS = {
    "agent": str, "socket": str, "state": str, "folder": str, "nss": bool, "least_uid": int, "least_gid": int,
    "also_groups": list, "processes": int, "programs": list,
}  # fmt: skip
REQUIRED = ("agent", "socket", "state", "folder", "programs")
VARIABLE = re.compile(
    r"(?!LD_|PATH$|HOME$|USER$|LOGNAME$|TMPDIR$|IFS$|ENV$|BASH_ENV$|GCONV_PATH$|GLIBC_)[A-Z][A-Z0-9_]{0,63}"
)


class Misconfigured(Exception):
    """What is wrong, in one sentence."""


@dataclass(frozen=True, slots=True)
class Config:
    """`programs` maps each program's path to the variables that may be set for it. `least_*` are never below 100."""

    agent_uid: int
    agent_gid: int
    socket: Path
    state: Path
    folder: Path
    programs: Mapping[str, frozenset[str]]
    nss: bool = True
    least_uid: int = 1000
    least_gid: int = 1000
    also_groups: frozenset[int] = frozenset()
    processes: int = 4096


def only_roots(path: Path) -> None:
    """Raises Misconfigured unless root alone decides what lies there: it, and every folder on the way."""
    try:
        if not path.is_absolute() or path != path.resolve(strict=True):
            raise Misconfigured(f"{path} must be an absolute path without links.")
        for each in (path, *path.parents):
            found = each.stat()
            sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX  # names in it are their owners'
            if found.st_uid != 0 or (found.st_mode & 0o022 and not sticky):
                raise Misconfigured(f"{each} can be changed by others than root, so {path} cannot be trusted.")
    except OSError as error:
        raise Misconfigured(f"{path}: {error.strerror}.") from None


def load(path: Path) -> Config:
    """Read and check it all. Raises Misconfigured."""
    only_roots(path)
    try:
        said = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{path}: {error}.") from None
    for key, value in said.items():
        if type(value) is not KEYS.get(key):
            raise Misconfigured(f"{path}: {key} is not a known key, or not of its type.")
    if missing := [key for key in REQUIRED if key not in said]:
        raise Misconfigured(f"{path}: {missing[0]} is missing.")
    try:
        agent = pwd.getpwnam(said.pop("agent"))
    except KeyError:
        raise Misconfigured(f"{path}: there is no such agent's user.") from None
    programs = dict(_program(table) for table in said.pop("programs"))
    if not programs or agent.pw_uid == 0 or agent.pw_gid == 0:
        raise Misconfigured(f"{path}: name programs, and as agent a user that is not root.")
    also = said.pop("also_groups", [])
    numbers = [said.get("least_uid", 100), said.get("least_gid", 100), *also]
    if any(type(number) is not int or number < 100 for number in numbers):
        raise Misconfigured(f"{path}: least_uid, least_gid and also_groups are at least 100.")
    folders = {key: Path(said.pop(key)) for key in ("socket", "state", "folder")}
    for each in (folders["socket"].parent, folders["state"], folders["folder"]):
        only_roots(each)
    if not folders["folder"].stat().st_mode & 0o001:
        raise Misconfigured(f"{folders['folder']}: accounts cannot enter it; run chmod 0711 on it.")
    said |= folders
    return Config(agent.pw_uid, agent.pw_gid, programs=programs, also_groups=frozenset(also), **said)


def _program(table: Any) -> tuple[str, frozenset[str]]:
    variables = table.get("variables", []) if isinstance(table, dict) else None
    if (
        not isinstance(variables, list)
        or set(table) - {"path", "variables"}
        or not isinstance(table.get("path"), str)
    ):
        raise Misconfigured("programs: each has a path and, perhaps, variables.")
    for name in variables:
        if not isinstance(name, str) or not VARIABLE.fullmatch(name):
            raise Misconfigured(f"programs: {name} is no variable that the agent may set.")
    only_roots(Path(table["path"]))
    if not os.access(table["path"], os.X_OK):
        raise Misconfigured(f"{table['path']} is not executable.")
    return table["path"], frozenset(variables)
