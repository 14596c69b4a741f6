"""Runs one workspace and records its end, whatever becomes of the agent. A script of its own, standard library only.

Reads its orders as JSON from standard input: {"meta", "command", "variables", "work", "log", "grace_s", "cpus",
"memory", "readable", "mounted", "writable", "sandbox"}. Holds a lock on `<meta>.lock` while it runs, so that a workspace can
never run twice; writes `<meta>.run` when it has started and `<meta>.exit` when nothing of it runs any more.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import importlib.util
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def start_time(pid: int) -> int:
    """When a process started, in clock ticks since boot (field 22 of /proc/pid/stat). Raises OSError."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[19])


def boot_id() -> str:
    """Identifies this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def write_json(path: Path, value: object) -> None:
    """Replace a file in one step."""
    partial = path.with_suffix(path.suffix + ".new")
    partial.write_text(json.dumps(value))
    partial.replace(path)


def read_record(path: Path) -> dict[str, Any] | None:
    """A record, None when there is none (yet). Raises OSError, ValueError."""
    try:
        value: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return value


def show(link: Path, folder: str | Path) -> None:
    """`link` leads to `folder`, whatever led there before; an empty folder in its place makes room. Raises OSError."""
    link.parent.mkdir(mode=0o700, exist_ok=True)
    if link.is_symlink():
        link.unlink()
    elif link.is_dir():
        link.rmdir()
    link.symlink_to(folder)


def is_alive(running: Mapping[str, Any]) -> bool:
    """Found again by pid *and* start time *and* boot."""
    if running["boot_id"] != boot_id():
        return False
    try:
        return bool(start_time(running["pid"]) == running["start_time"])
    except OSError:
        return False


def is_locked(meta: Path) -> bool:
    """Whether a supervisor holds its lock. Looking takes the lock for an instant."""
    try:
        with meta.with_suffix(".lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def children() -> list[int]:
    """The direct children of this process; orphans of the workspace come here too, as to a subreaper."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in listed]


def _landlock() -> Any:
    """The module beside this one, for which a script has no package."""
    spec = importlib.util.spec_from_file_location("landlock", Path(__file__).with_name("landlock.py"))
    assert spec is not None and spec.loader is not None  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _folders(order: dict[str, Any]) -> list[list[Path]]:
    """As `landlock.restrict` takes them."""
    return [[Path(each) for each in order[key]] for key in ("readable", "writable", "mounted")]


def prepare(order: dict[str, Any], landlock: Any) -> None:
    """In the child, before it becomes the workspace: limits, then the sandbox."""
    os.setpgid(0, 0)
    # Without its supervisor it would be seen as gone, and run.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.umask(order["umask"])
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    if hasattr(os, "sched_setaffinity"):
        mine = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, mine[: order["cpus"]])
    for what, limit in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_DATA, order["memory"])):
        hard = resource.getrlimit(what)[1]
        most = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (most, most))
    if landlock is not None:
        landlock.restrict(*_folders(order))


def run(order: dict[str, Any], meta: Path) -> dict[str, Any]:
    """Start the workspace, wait for its end or for SIGTERM, and leave nothing of it behind."""
    stopping: list[float] = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(time.monotonic()))
    landlock = _landlock() if order["sandbox"] else None
    if landlock is not None:
        landlock.hold(folder for each in _folders(order) for folder in each)
    with Path(order["log"]).open("ab", 0) as log:
        try:
            child = subprocess.Popen(
                order["command"], cwd=order["work"], env=order["variables"], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, preexec_fn=lambda: prepare(order, landlock), close_fds=True,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            log.write(f"could not be started: {error}\n".encode())
            return {"code": None, "stopped": bool(stopping), "started": False}
    me = os.getpid()
    write_json(meta.with_suffix(".run"), {"pid": me, "start_time": start_time(me), "boot_id": boot_id()})
    begun, killed_at, code = time.monotonic(), 0.0, None
    while True:
        code = child.poll() if code is None else code
        _reap(child.pid)
        if code is not None or stopping:
            now = time.monotonic()
            since = stopping[0] if stopping else killed_at or now
            killed_at = killed_at or now
            late = now - since > order["grace_s"]
            if not _signal_all(child.pid, signal.SIGKILL if late else signal.SIGTERM):
                break
        signal.sigtimedwait({signal.SIGCHLD}, 0.05)
    code = child.wait() if code is None else code
    return {"code": code, "stopped": bool(stopping), "started": True, "lasted_s": time.monotonic() - begun}


def _reap(main_child: int) -> None:
    for pid in children():
        if pid != main_child:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue


def _signal_all(group: int, number: int) -> bool:
    """Signal the group and every stray descendant; whether any is left."""
    left = children()
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
    for pid in left:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue
    return bool(left)


def take(lock: IO[str]) -> bool:
    """Take the lock. Tried for two seconds: an agent that only looks holds it for an instant."""
    for _ in range(40):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False


def main() -> None:
    """Entry point."""
    order = json.load(sys.stdin)
    sys.stdin.close()
    meta = Path(order["meta"])
    lock = meta.with_suffix(".lock").open("w")
    if not take(lock):
        return  # it runs already
    if meta.with_suffix(".exit").exists():
        return  # it ran and ended: never twice
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    ended = run(order, meta)
    write_json(meta.with_suffix(".exit"), ended)


if __name__ == "__main__":
    main()
