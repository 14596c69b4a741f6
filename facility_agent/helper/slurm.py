"""Slurm as the account: submit, cancel, and read what the job handed back; by its commands, or by slurmrestd.

What runs is the job's own script (`slurm_job`), the same for everybody; everything about one workspace lies in a folder
that the account owns and nobody else can enter. Root itself touches only its own records, and the key that signs tokens.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from facility_agent.adapters.compute import landlock, tasks
from facility_agent.adapters.compute.packages import prepared
from facility_agent.adapters.compute.supervisor import read_record, show, write_json
from facility_agent.helper import slurm_commands, slurm_rest
from facility_agent.helper.config import Config, Slurm
from facility_agent.helper.identity import Account, allowed, become
from facility_agent.helper.messages import Refused

ANSWER, LOG_TAIL = 128 * 1024, 64 * 1024
FILES = {"endpoint": ("endpoint.json", 4096), "log": ("log", LOG_TAIL)}
AGENTS_S = 300
"""How long a token of the agent's own account is good."""


def submit(config: Config, said: dict[str, Any]) -> object:
    """{"job": number}, once ever; the same id again gets the same. {"refused": what sbatch said} when nothing was taken."""
    slurm = _slurm(config)
    variables = slurm.programs.get(said["command"][0])
    if variables is None or not set(said["variables"]) <= variables:
        raise Refused(
            "INVALID_REQUEST", "This program, or one of its variables, is not in the helper's list for Slurm."
        )
    if said["image"] and not any(Path(said["image"]).is_relative_to(each) for each in slurm.images):
        raise Refused("INVALID_REQUEST", "This image lies in none of the helper's folders of images.")
    account, record = allowed(said, config), (config.state / said["id"]).with_suffix(".slurm")
    with (config.state / said["id"]).with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another question for it may be under way
        known = read_record(record) or {}
        if known and known["uid"] != account.uid:
            raise Refused("CONFLICT", "This workspace belongs to another account.")
        if "job" in known:
            return {"job": known["job"]}
        who = {
            "username": account.username,
            "uid": account.uid,
            "gid": account.gid,
            "groups": sorted(account.groups),
        }
        known = {**who, "folder": slurm.folder_of(account.username, said["home"])}
        write_json(record, known)
        said = {**said, "own": config.packages_of(account.username, said["home"])}
        token = _signed(slurm, account.username, slurm_rest.LIFE_S)
        answer = _apart(account, lambda: _submit(slurm, said, Path(known["folder"]), account, token))
        if "job" in answer:
            write_json(record, {**known, "job": answer["job"]})
        elif "refused" in answer:
            record.unlink()
        else:
            raise Refused("BACKEND_UNAVAILABLE", "It is not known whether Slurm has taken it.")
    return answer


def cancel(config: Config, said: dict[str, Any]) -> object:
    """Ask Slurm to end every job of this workspace, by its name; {"asked": whether Slurm took the question}."""
    slurm, known = _slurm(config), _known(config, said["id"])
    if known is None:
        return {"asked": True}
    name, username, job = f"parasol-{said['id']}", known["username"], known.get("job")
    if not slurm.rest:
        return _apart(_account(known), lambda: slurm_commands.cancel(slurm, name, username))
    token = _signed(slurm, username, slurm_rest.LIFE_S)
    do = lambda rest: slurm_rest.cancel(rest, name, known["uid"], job)  # noqa: E731
    return {"asked": False} | _apart(_account(known), lambda: slurm_rest.speak(slurm, username, token, do))


def token(config: Config, said: dict[str, Any]) -> object:
    """{"username", "token", "seconds"}: of the agent's own account, whoever asks; there is no field for another."""
    slurm = _slurm(config)
    if not slurm.rest:
        raise Refused("INVALID_REQUEST", "The helper's configuration has no slurmrestd.")
    agent = Account(
        pwd.getpwuid(config.agent_uid).pw_name, config.agent_uid, config.agent_gid, frozenset({config.agent_gid})
    )
    signed = _signed(slurm, agent.username, AGENTS_S)
    if not signed:
        signed = _apart(agent, lambda: {"token": slurm_commands.token(slurm, AGENTS_S)})["token"]
    return {"username": agent.username, "token": signed, "seconds": AGENTS_S}


def read(config: Config, said: dict[str, Any]) -> object:
    """{"state": "there", "text"}, or "none", or "refused" with "why": of a file that is the account's alone."""
    _slurm(config)
    known = _known(config, said["id"])
    if known is None:
        return {"state": "none"}
    return _apart(_account(known), lambda: _read(Path(known["folder"]) / said["id"], *FILES[said["what"]]))


def _slurm(config: Config) -> Slurm:
    if config.slurm is None:
        raise Refused("INVALID_REQUEST", "The helper's configuration has no [slurm].")
    return config.slurm


def _known(config: Config, name: str) -> dict[str, Any] | None:
    return read_record((config.state / name).with_suffix(".slurm"))


def _account(known: Mapping[str, Any]) -> Account:
    return Account(known["username"], known["uid"], known["gid"], frozenset(known["groups"]))


def _signed(slurm: Slurm, username: str, seconds: int) -> str:
    """A token by the site's key; empty without one. The key is never in the memory of a process that becomes somebody."""
    if not slurm.rest or not slurm.jwt_key:
        return ""
    key = Path(slurm.jwt_key)
    return str(_apart(None, lambda: {"token": slurm_rest.signed(key, username, seconds)})["token"])


def _apart(account: Account | None, do: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Its answer, from a process that is the account, or root still. Raises Refused when that did not work."""
    hear, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.closerange(3, hear)  # the connection, the listening socket, the lock
            if account is not None:
                become(account)
            os.umask(0o077)
            body = json.dumps(do()).encode()
            while body:
                body = body[os.write(tell, body) :]
            os._exit(0)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is the operator's)
            who = account.username if account is not None else "root"
            os.write(2, f"as {who}: {error!r}\n".encode(errors="replace"))
        finally:
            os._exit(1)
    os.close(tell)
    with os.fdopen(hear, "rb") as told:
        body = told.read(ANSWER)
    if os.waitpid(child, 0)[1] != 0:
        raise Refused("BACKEND_FAILED", "The facility could not do this as your account.")
    answer: dict[str, Any] = json.loads(body)
    return answer


# --- as the account


def _submit(slurm: Slurm, said: Mapping[str, Any], base: Path, account: Account, token: str) -> dict[str, Any]:
    if why := _unusable(said):
        return {"refused": "", "why": why}
    try:
        folder = _prepare(slurm, said, base)
    except OSError as error:
        os.write(2, f"{said['id']}: {error}\n".encode(errors="replace"))
        return {"refused": "", "why": f"Your folders cannot be made at the facility ({error.strerror})."}
    script = f"#!{slurm.python} -I\n{Path(__file__).with_name('slurm_job.py').read_text()}"
    order = {
        **said,
        "name": f"parasol-{said['id']}",
        "folder": str(folder),
        "variables": slurm_commands.VARIABLES,
    }
    if slurm.rest:
        return slurm_rest.speak(
            slurm, account.username, token, lambda rest: slurm_rest.submit(rest, order, script)
        )
    return slurm_commands.submit(slurm, order, script)


def _prepare(slurm: Slurm, said: Mapping[str, Any], base: Path) -> Path:
    """Its folder, closed to others, with all that the job's script reads."""
    base.mkdir(mode=0o700, exist_ok=True)
    folder: Path = base / said["id"]
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    os.chdir(os.open(folder, os.O_DIRECTORY | os.O_NOFOLLOW))
    for name in ("work", "work/proposals", "work/scratch"):
        Path(name).mkdir(mode=0o700, exist_ok=True)
    for name, target, _ in said["mounts"]:
        show(Path("work") / name, target)
    fields = (
        "command",
        "variables",
        "mounts",
        "readable",
        "writable",
        "modules",
        "image",
        "home",
        "username",
        "ports",
        "listen",
        "door",
        "secret",
    )
    spec = {name: said[name] for name in fields}
    spec["own"] = dict(prepared(Path(said["own"]))) if said["own"] else {}
    if said["task"]:
        results = tasks.begin(Path.cwd() / "work" / said["task"]["results"], said["task"]["facts"])
        spec |= {"results": str(results), "log": str(results / tasks.LOG), "umask": tasks.UMASK}
    spec |= {"gpus": "gpu" in said["gres"], "apptainer": slurm.apptainer, "modules_from": slurm.modules_from}
    for name, text in (("spec.json", json.dumps(spec)), ("landlock.py", Path(landlock.__file__).read_text())):
        Path(name).unlink(missing_ok=True)
        with os.fdopen(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
    return folder


def _unusable(said: Mapping[str, Any]) -> str:
    """Why, for the person."""
    if not Path(said["home"]).is_dir() or not os.access(said["home"], os.W_OK | os.X_OK):
        return "Your home folder is not there at the facility; its operators can mend that."
    return ""


def _read(folder: Path, name: str, most: int) -> dict[str, Any]:
    try:
        inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        # Not blocking: it could be a FIFO.
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=inside)
    except FileNotFoundError:
        return {"state": "none"}
    except OSError as error:
        return {"state": "refused", "why": f"{name} is a link or cannot be read ({error.strerror})"}
    for each, is_kind in ((os.fstat(inside), stat.S_ISDIR), (os.fstat(file), stat.S_ISREG)):
        if not is_kind(each.st_mode) or each.st_uid != os.getuid() or each.st_mode & 0o022:
            return {"state": "refused", "why": f"{name} or its folder is not the account's alone"}
    found = os.fstat(file)
    if found.st_nlink != 1:
        return {"state": "refused", "why": f"{name} has another name elsewhere"}
    text = os.pread(file, most, max(0, found.st_size - most)).decode(errors="replace")
    return {"state": "there", "text": text}
