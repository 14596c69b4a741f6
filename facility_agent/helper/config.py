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

from facility_agent.helper.messages import Refused

KEYS = {
    "agent": str, "socket": str, "state": str, "folder": str, "nss": bool, "least_uid": int, "least_gid": int,
    "also_groups": list, "processes": int, "programs": list, "packages": str, "slurm": dict,
}  # fmt: skip
REQUIRED = ("agent", "socket", "state", "folder", "programs")
VARIABLE = re.compile(
    r"(?!LD_|PATH$|HOME$|USER$|LOGNAME$|TMPDIR$|IFS$|ENV$|BASH_ENV$|GCONV_PATH$|GLIBC_)[A-Z][A-Z0-9_]{0,63}"
)


class Misconfigured(Exception):
    """What is wrong, in one sentence."""


@dataclass(frozen=True, slots=True)
class Slurm:
    """Its commands here; on the nodes, the Python of 3.9 or newer for the job's script and the programs that may run.

    `folder` is the account's private folder for workspaces on a file system that the nodes share, of `{home}` or
    `{username}`. `modules_from` is the file that defines `module` in a shell. Images lie below `images`.
    """

    programs: Mapping[str, frozenset[str]]
    sbatch: str = "/usr/bin/sbatch"
    scancel: str = "/usr/bin/scancel"
    conf: str = ""
    python: str = "/usr/bin/python3"
    folder: str = "{home}/.parasol"
    apptainer: str = "/usr/bin/apptainer"
    modules_from: str = "/etc/profile.d/modules.sh"
    images: tuple[Path, ...] = ()

    def folder_of(self, username: str, home: str) -> str:
        """Where an account's workspaces lie. Raises Refused for one that sbatch would read as a pattern."""
        folder = _of_account(self.folder, username, home)
        if re.search(r"[%\\\s]", folder):
            raise Refused("BACKEND_FAILED", "The facility cannot use the name of your home folder for this.")
        return folder


@dataclass(frozen=True, slots=True)
class Config:
    """`programs` maps each program's path to the variables that may be set for it. `least_*` are never below 100.

    `packages` is where an account's own packages lie, of `{home}` or `{username}`; empty for nowhere.
    """

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
    packages: str = "{home}/.parasol/packages"
    slurm: Slurm | None = None

    def packages_of(self, username: str, home: str) -> str:
        """Where an account's own packages lie, empty for nowhere."""
        return _of_account(self.packages, username, home)


def _of_account(template: str, username: str, home: str) -> str:
    return template.replace("{home}", home).replace("{username}", username)


def names_account(template: str) -> bool:
    """Whether each account has a folder of its own there."""
    names = {*re.findall(r"{(\w*)}", template)}
    absolute = template.startswith(("/", "{home}/")) and "/../" not in f"{template}/"
    return absolute and names > set() and names <= {"home", "username"}


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
    if said.get("packages") and not names_account(said["packages"]):
        raise Misconfigured(f"{path}: packages is an absolute path with {{home}} or {{username}}, or empty.")
    programs = dict(_program(table) for table in said.pop("programs"))
    slurm = _slurm(said.pop("slurm")) if "slurm" in said else None
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
    return Config(agent.pw_uid, agent.pw_gid, programs=programs, slurm=slurm, also_groups=frozenset(also), **said)


def _slurm(table: dict[str, Any]) -> Slurm:
    programs, images = table.pop("programs", None), table.pop("images", [])
    known = {"sbatch", "scancel", "conf", "python", "folder", "apptainer", "modules_from"}
    if not isinstance(programs, list) or not programs or not isinstance(images, list) or set(table) - known:
        raise Misconfigured("slurm: name programs; only its documented keys may stand there.")
    for key, value in table.items():
        if not isinstance(value, str) or (value[:1] != "/" and not (key == "folder" and value[:7] == "{home}/")):
            raise Misconfigured(f"slurm: {key} is an absolute path.")
    if any(not isinstance(each, str) or each[:1] != "/" for each in images):
        raise Misconfigured("slurm: images are absolute paths of folders.")
    made = Slurm(dict(_program(each, here=False) for each in programs), images=tuple(map(Path, images)), **table)
    for each in (made.sbatch, made.scancel, *([made.conf] if made.conf else [])):
        only_roots(Path(each))
    if re.search(r"\s", made.python) or not names_account(made.folder):
        raise Misconfigured("slurm: python is a path without spaces; folder has {home} or {username}.")
    return made


def _program(table: Any, *, here: bool = True) -> tuple[str, frozenset[str]]:
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
    if not here:  # on the nodes, where root of those decides
        return table["path"], frozenset(variables)
    only_roots(Path(table["path"]))
    if not os.access(table["path"], os.X_OK):
        raise Misconfigured(f"{table['path']} is not executable.")
    return table["path"], frozenset(variables)
