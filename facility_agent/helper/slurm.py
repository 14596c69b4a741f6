"""Slurm by its command line, as the account: submit, cancel, and read what the job handed back. No shell, no text of others as an option.

What runs is the job's own script (`slurm_job`), the same for everybody, by standard input; everything about one
workspace lies in a folder that the account owns and nobody else can enter. Root itself touches only its own records.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import stat
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from facility_agent.adapters.compute import tasks
from facility_agent.adapters.compute.packages import prepared
from facility_agent.adapters.compute.supervisor import read_record, show, write_json
from facility_agent.helper.config import Config, Slurm
from facility_agent.helper.identity import Account, allowed, become
from facility_agent.helper.messages import Refused

WITHIN_S, ANSWER, LOG_TAIL = 15, 128 * 1024, 64 * 1024
FILES = {"endpoint": ("endpoint.json", 4096), "log": ("log", LOG_TAIL)}
OPTIONS = ("partition", "account", "qos", "reservation", "constraint", "gres")


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
        answer = _as_account(account, lambda: _submit(slurm, said, Path(known["folder"])))
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
    words = [slurm.scancel, f"--name=parasol-{said['id']}", f"--user={known['username']}"]
    return _as_account(_account(known), lambda: {"asked": _run(slurm, words, "").returncode == 0})


def read(config: Config, said: dict[str, Any]) -> object:
    """{"state": "there", "text"}, or "none", or "refused" with "why": of a file that is the account's alone."""
    _slurm(config)
    known = _known(config, said["id"])
    if known is None:
        return {"state": "none"}
    return _as_account(_account(known), lambda: _read(Path(known["folder"]) / said["id"], *FILES[said["what"]]))


def _slurm(config: Config) -> Slurm:
    if config.slurm is None:
        raise Refused("INVALID_REQUEST", "The helper's configuration has no [slurm].")
    return config.slurm


def _known(config: Config, name: str) -> dict[str, Any] | None:
    return read_record((config.state / name).with_suffix(".slurm"))


def _account(known: Mapping[str, Any]) -> Account:
    return Account(known["username"], known["uid"], known["gid"], frozenset(known["groups"]))


def _as_account(account: Account, do: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Its answer, from a process that is the account. Raises Refused when that did not work."""
    hear, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.closerange(3, hear)  # the connection, the listening socket, the lock
            become(account)
            os.umask(0o077)
            body = json.dumps(do()).encode()
            while body:
                body = body[os.write(tell, body) :]
            os._exit(0)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is the operator's)
            os.write(2, f"as {account.username}: {error!r}\n".encode(errors="replace"))
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


def _submit(slurm: Slurm, said: Mapping[str, Any], base: Path) -> dict[str, Any]:
    if why := _unusable(said):
        return {"refused": "", "why": why}
    try:
        folder = _prepare(slurm, said, base)
    except OSError as error:
        os.write(2, f"{said['id']}: {error}\n".encode(errors="replace"))
        return {"refused": "", "why": f"Your folders cannot be made at the facility ({error.strerror})."}
    script = Path(__file__).with_name("slurm_job.py").read_text()
    try:
        done = _run(slurm, options(slurm, said, folder), f"#!{slurm.python} -I\n{script}")
    except subprocess.TimeoutExpired:
        return {}
    if done.returncode == 0 and (job := re.fullmatch(r"(\d{1,10})(;.*)?\s*", done.stdout)):
        return {"job": int(job[1])}
    # Slurm may have taken what it did not answer in time.
    unsure = done.returncode == 0 or "timed out" in done.stderr
    return {} if unsure else {"refused": done.stderr[-2000:]}


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
    Path("spec.json").unlink(missing_ok=True)
    with os.fdopen(os.open("spec.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(spec, file)
    return folder


def _unusable(said: Mapping[str, Any]) -> str:
    """Why, for the person."""
    if not Path(said["home"]).is_dir() or not os.access(said["home"], os.W_OK | os.X_OK):
        return "Your home folder is not there at the facility; its operators can mend that."
    if not said["image"] and any(only and os.access(folder, os.W_OK) for _, folder, only in said["mounts"]):
        return "The facility cannot mount a proposal read-only in this environment."
    return ""


def options(slurm: Slurm, said: Mapping[str, Any], folder: Path) -> list[str]:
    """The command sbatch and its arguments. Nothing in them is a person's, a secret, or an option that the agent chose.

    `--export=ALL` is the three variables of `_run`; with NIL or NONE Slurm would run the account's login shell first.
    """
    out = [
        slurm.sbatch, "--parsable", f"--job-name=parasol-{said['id']}", "--no-requeue", "--export=ALL",
        "--propagate=NONE", "--input=/dev/null", f"--chdir={folder}", f"--output={folder}/log", "--open-mode=append",
        "--nodes=1", "--ntasks=1", f"--cpus-per-task={said['cpus']}", f"--mem={said['memory'] // 2**20}M",
        f"--time={said['minutes']}",
    ]  # fmt: skip
    return out + [f"--{name}={said[name]}" for name in OPTIONS if said[name]]


def _run(slurm: Slurm, words: list[str], text: str) -> subprocess.CompletedProcess[str]:
    """Raises OSError, TimeoutExpired."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        **({"SLURM_CONF": slurm.conf} if slurm.conf else {}),
    }
    return subprocess.run(
        words, input=text, env=environment, capture_output=True, text=True, errors="replace", timeout=WITHIN_S,
        cwd="/", check=False,
    )  # fmt: skip


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
