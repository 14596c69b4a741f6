"""One process per workspace, as root: starts its program, records its end, and leaves nothing of it behind.

It outlives the helper. The account can neither signal nor read it, nor write its records.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from facility_agent.adapters.compute.supervisor import boot_id, children, start_time, take, write_json
from facility_agent.helper.config import Config
from facility_agent.helper.identity import Account
from facility_agent.helper.program import execute

PR_SET_CHILD_SUBREAPER = 36


def keep(said: Mapping[str, Any], account: Account, config: Config, answer: Callable[[str], None]) -> None:
    """Run it to its end, once ever. `answer` is called once: with "" when it runs or ran, else with why it does not."""
    record = config.state / said["id"]
    with record.with_suffix(".lock").open("w") as lock:
        if not take(lock) or record.with_suffix(".exit").exists():
            return answer("")
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        stopping: list[float] = []
        signal.signal(signal.SIGTERM, lambda *_: stopping.append(time.monotonic()))
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        who = {"username": account.username, "uid": account.uid, "gid": account.gid, "groups": sorted(account.groups)}
        write_json(record.with_suffix(".json"), who)
        child, why = _start(said, account, config)
        if why:
            write_json(record.with_suffix(".exit"), {"started": False, "stopped": False, "code": None, "why": why})
            os.waitpid(child, 0) if child else None
            return answer(why)
        me = os.getpid()
        write_json(record.with_suffix(".run"), {"pid": me, "start_time": start_time(me), "boot_id": boot_id()})
        answer("")
        code = _watch(child, stopping, said["grace_s"])
        write_json(record.with_suffix(".exit"), {"started": True, "stopped": bool(stopping), "code": code})


def _start(said: Mapping[str, Any], account: Account, config: Config) -> tuple[int, str]:
    """(pid, why it does not run)."""
    try:
        place, log = _place(said["id"], account, config)
    except OSError as error:
        print(f"{said['id']}: {error}", flush=True)
        return 0, "The facility could not prepare the workspace's folder."
    hear, tell = os.pipe()
    child = os.fork()
    if child == 0:
        execute(said, account, config, place, log, tell)
    os.close(tell)
    os.close(log)
    with os.fdopen(hear, "rb") as told:
        return child, told.read().decode()


def _place(name: str, account: Account, config: Config) -> tuple[Path, int]:
    """Its folder, which root owns, with the account's folders in it; and its log, which the agent may read."""
    place = config.folder / name
    with contextlib.suppress(FileExistsError):
        place.mkdir(0o711)
    place.chmod(0o711)
    for folder, mode, group in (("work", 0o700, account.gid), ("tmp", 0o700, account.gid), ("run", 0o2710, config.agent_gid)):
        with contextlib.suppress(FileExistsError):
            (place / folder).mkdir(0o700)
        if (place / folder).stat().st_uid == 0:
            (place / folder).chmod(mode)  # before it changes hands: root may have no power over others' files
            os.chown(place / folder, account.uid, group)
    log = os.open(place / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o640)
    os.fchmod(log, 0o640)
    os.fchown(log, account.uid, config.agent_gid)
    return place, log


def _watch(child: int, stopping: list[float], grace_s: float) -> int:
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
