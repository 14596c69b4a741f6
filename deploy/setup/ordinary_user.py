"""Runs a command as an ordinary user: as root it first drops to one, else it just runs it.

`python -m deploy.setup.ordinary_user COMMAND…`. The user needs no entry in the password file: a free uid
with a home folder of its own below /var/tmp, kept between runs for caches.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

UID = 61_100
HOME = Path("/var/tmp/parasol-user")  # noqa: S108 (drop() refuses a folder that is not its own)


def drop(groups: Sequence[int] = ()) -> None:
    """Become the ordinary user, in these groups, when this process is root; sets HOME, USER and the caches' places.

    Raises PermissionError when the home folder belongs to somebody else.
    """
    if os.getuid() != 0:
        return
    HOME.mkdir(mode=0o711, exist_ok=True)
    if HOME.is_symlink() or HOME.stat().st_uid not in (0, UID):
        raise PermissionError(f"{HOME} belongs to somebody else")
    os.chown(HOME, UID, UID)
    HOME.chmod(0o711)  # other accounts may run the environments that are prepared in it
    os.setgroups(list(groups))
    os.setresgid(UID, UID, UID)
    os.setresuid(UID, UID, UID)
    cache = HOME / ".cache"
    os.environ.update(HOME=str(HOME), USER="parasol", LOGNAME="parasol", XDG_CACHE_HOME=str(cache))
    # The checkout may be read-only for this user, so every tool's cache lies elsewhere.
    os.environ.update(
        PYTHONPYCACHEPREFIX=str(cache / "pycache"),
        PYTEST_ADDOPTS=f"{os.environ.get('PYTEST_ADDOPTS', '')} -o cache_dir={cache / 'pytest'}".strip(),
        HYPOTHESIS_STORAGE_DIRECTORY=str(cache / "hypothesis"),
    )
    os.environ.pop("XDG_RUNTIME_DIR", None)
    os.umask(0o022)


def main() -> None:
    """Entry point."""
    if len(sys.argv) < 2:
        sys.exit("give a command to run")
    drop()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606


if __name__ == "__main__":
    main()
