"""The child between fork and exec: becomes the account, then prepares what it may do with its own rights alone."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from facility_agent.adapters.compute import landlock, packages, tasks
from facility_agent.adapters.compute.supervisor import show
from facility_agent.helper.config import Config
from facility_agent.helper.identity import Account, become

PR_SET_PDEATHSIG = 1


class Unusable(Exception):
    """Why it cannot be started, in one sentence for the person."""


def execute(
    said: Mapping[str, Any], account: Account, config: Config, place: Path, log: int, tell: int
) -> NoReturn:
    """Never returns. What goes wrong is written to `tell`, which closes by itself when the program runs."""
    why = "The facility could not start the environment's program."
    try:
        os.setsid()
        os.umask(0o077)
        _limit(said, config)
        null = os.open("/dev/null", os.O_RDWR)
        for target, source in enumerate((null, log, log)):
            os.dup2(source, target)
        os.dup2(tell, 3)
        tell = 3
        os.set_inheritable(tell, False)  # noqa: FBT003
        os.closerange(4, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        for number in signal.valid_signals() - {
            signal.SIGKILL,
            signal.SIGSTOP,
        }:  # also what the helper's own start ignored
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        become(account)
        # Without its keeper it would be seen as gone, and run. The kernel forgets this when the uid changes.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        own = Path(config.packages_of(account.username, said["home"])) if config.packages else None
        variables = _prepare(said, place, own)
        os.execve(said["command"][0], said["command"], _environment(said, account, place, variables))  # noqa: S606
    except Unusable as error:
        why = str(error)
    except Exception as error:  # noqa: BLE001 (whatever it is, it is the operator's)
        os.write(2, f"could not be started: {error!r}\n".encode(errors="replace"))
    finally:  # nothing may return into the keeper's code
        with suppress(OSError):
            os.write(tell, why.encode())
        os._exit(127)


def _limit(said: Mapping[str, Any], config: Config) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: said["cpus"]])
    limits = (
        (resource.RLIMIT_CORE, 0), (resource.RLIMIT_DATA, said["memory"]), (resource.RLIMIT_NPROC, config.processes),
    )  # fmt: skip
    for what, most in limits:
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def _prepare(said: Mapping[str, Any], place: Path, own: Path | None) -> Mapping[str, str]:
    """Make what it needs, then give up all else; the variables that lead to the account's own packages."""
    if not Path(said["home"]).is_dir() or not os.access(said["home"], os.X_OK):
        raise Unusable("Your home folder is not there at the facility; its operators can mend that.")
    work = place / "work"
    for folder in ("proposals", "scratch"):
        (work / folder).mkdir(exist_ok=True)
    version, given = landlock.abi_version(), [*map(Path, said["writable"])]
    for place_in, folder, read_only in said["mounts"]:
        if read_only and not landlock.protects(Path(folder), given, version):
            raise Unusable("The facility cannot mount a proposal read-only on this machine.")
        show(work / place_in, folder)
    try:
        variables = packages.prepared(own) if own else {}
    except OSError as error:
        raise Unusable(
            f"Your folder for own packages cannot be made at the facility ({error.strerror})."
        ) from None
    if said["task"]:
        _begin_task(work / said["task"]["results"], said["task"]["facts"])
    os.chdir(work)
    if version > 0:
        exact = {Path(folder) for _, folder, read_only in said["mounts"] if read_only}
        readable = {*map(Path, said["readable"])} - exact
        writable = [*given, place / "work", place / "tmp", place / "run", *map(Path, packages.folders(variables))]
        landlock.restrict(readable, writable, exact)
    return variables


def _begin_task(results: Path, facts: str) -> None:
    """From here on its output goes into its log there, and what it makes is for that folder's group."""
    try:
        log = tasks.log_of(tasks.begin(results, facts))
    except OSError as error:
        raise Unusable(f"Its folder for results cannot be made at the facility ({error.strerror}).") from None
    os.umask(tasks.UMASK)
    for target in (1, 2):
        os.dup2(log, target)
    os.close(log)


def _environment(said: Mapping[str, Any], account: Account, place: Path, own: Mapping[str, str]) -> dict[str, str]:
    """Nothing of the helper's own."""
    path = packages.after(f"{Path(said['command'][0]).parent}:/usr/local/bin:/usr/bin:/bin", own)
    return {
        "PATH": path, "HOME": said["home"], **own,
        "USER": account.username, "LOGNAME": account.username, "LANG": "C.UTF-8", "TMPDIR": str(place / "tmp"),
        **said["variables"],
    }  # fmt: skip
