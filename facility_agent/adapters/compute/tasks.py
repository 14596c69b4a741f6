"""A task's folder, as `ports.compute.Task` has it. Standard library only: the helper and the job of a cluster use it too."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

LOG, FACTS = "log.txt", "task.json"
UMASK = 0o007
"""What a task makes is for the group of the folder in which its results lie."""


def begin(results: Path, facts: str) -> Path:
    """The folder, made with what the task is told and an empty log in it; again is the same. Raises OSError.

    Others of its group may write beside it: a folder, file or link of theirs in its place is refused.
    """
    results.mkdir(mode=0o700, exist_ok=True)
    found = results.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise FileExistsError(errno.EEXIST, "somebody else's lies there")
    for name, text, how in ((FACTS, facts, os.O_TRUNC), (LOG, "", 0)):  # it may be writing already
        file = os.open(results / name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | how, 0o600)
        with os.fdopen(file, "w") as opened:
            os.fchmod(file, 0o660)
            opened.write(text)
    results.chmod(stat.S_IMODE(found.st_mode) | 0o770)  # the group's bit of its folder stays
    return results


def log_of(results: Path) -> int:
    """Its log, to write to. Raises OSError, also for a link."""
    return os.open(results / LOG, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
