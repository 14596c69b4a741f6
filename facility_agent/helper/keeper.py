"""One process per workspace, as root: starts its program, records its end, and leaves nothing of it behind.

It outlives the helper. The account can neither signal nor read it, nor write its records.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from facility_agent.adapters.compute import landlock
from facility_agent.adapters.compute.supervisor import boot_id, children, start_time, take, write_json
from facility_agent.helper.config import Config
from facility_agent.helper.identity import Account
from facility_agent.helper.program import execute

PR_SET_CHILD_SUBREAPER = 36
stopping: list[float] = []
"""When its end was asked for, if it was."""


def keep(said: Mapping[str, Any], account: Account, config: Config, starter: IO[str]) -> None:
    """Run it to its end, once ever. `starter` is told a line: empty when it runs or ran, else why it does not."""
    record = config.state / said["id"]
    with record.with_suffix(".lock").open("w") as lock:
        ran = not take(lock) or any(record.with_suffix(end).exists() for end in (".run", ".exit"))
        child, why = (0, "") if ran else _start(said, account, config)
        if not ran and not why:
            me = os.getpid()
            write_json(record.with_suffix(".run"), {"pid": me, "start_time": start_time(me), "boot_id": boot_id()})
        elif why:
            write_json(record.with_suffix(".exit"), {"started": False, "stopped": False, "code": None, "why": why})
        with contextlib.suppress(OSError), starter:  # who asked may have given up; then it is found by a look
            print(why, file=starter)
        if not ran and not why:
            if landlock.abi_version() > 0:
                shown = (folder for _, folder, _ in said["mounts"])
                landlock.hold(map(Path, (*said["readable"], *said["writable"], *shown)))
            code = _watch(child, said["grace_s"])
            write_json(record.with_suffix(".exit"), {"started": True, "stopped": bool(stopping), "code": code})


def _start(said: Mapping[str, Any], account: Account, config: Config) -> tuple[int, str]:
    """(pid, why it does not run)."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(time.monotonic()))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    who = {"username": account.username, "uid": account.uid, "gid": account.gid, "groups": sorted(account.groups)}
    try:
        write_json((config.state / said["id"]).with_suffix(".json"), who)
        place, log = _place(said["id"], account, config)
    except OSError as error:
        sys.stderr.write(f"{said['id']}: {error}\n")
        return 0, "The facility could not prepare the workspace's folder."
    hear, tell = os.pipe()
    child = os.fork()
    if child == 0:
        execute(said, account, config, place, log, tell)
    os.close(tell)
    os.close(log)
    with os.fdopen(hear) as told:
        why = told.read()
    if why:
        os.waitpid(child, 0)
    return child, why


def _place(name: str, account: Account, config: Config) -> tuple[Path, int]:
    """Its folder, which root owns, with the account's folders in it; and its log, which the agent may read."""
    place = config.folder / name
    with contextlib.suppress(FileExistsError):
        place.mkdir(0o711)
    place.chmod(0o711)
    for folder, mode, group in (
        ("work", 0o700, account.gid),
        ("tmp", 0o700, account.gid),
        ("run", 0o2710, config.agent_gid),
    ):
        with contextlib.suppress(FileExistsError):
            (place / folder).mkdir(0o700)
        if (place / folder).stat().st_uid == 0:
            (place / folder).chmod(mode)  # before it changes hands: root may have no power over others' files
            os.chown(place / folder, account.uid, group)
    log = os.open(place / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o640)
    os.fchmod(log, 0o640)
    os.fchown(log, account.uid, config.agent_gid)
    return place, log


def _watch(child: int, grace_s: float) -> int:
    """Wait for its end or for SIGTERM; returns its exit code when nothing of it is left, negative for a signal."""
    code: int | None = None
    ending = 0.0
    while True:
        for pid in children():
            done, status = os.waitpid(pid, os.WNOHANG)
            if done == child:
                code = os.waitstatus_to_exitcode(status)
        if code is not None or stopping:
            ending = ending or time.monotonic()
            left = children()
            if not left:
                return 0 if code is None else code
            number = signal.SIGKILL if time.monotonic() - ending > grace_s else signal.SIGTERM
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, number) if pid == child else os.kill(pid, number)
        signal.sigtimedwait({signal.SIGCHLD}, 0.05)
