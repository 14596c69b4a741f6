"""Landlock: lets a process give up rights for itself and its descendants (Linux ≥ 5.13, `landlock(7)`).

Standard library only, for Python 3.9 and newer: the supervisor, the helper and Slurm jobs run it between fork and exec. System call numbers are the same on all
architectures that use the generic table and on x86-64.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

SYSTEM = tuple(
    Path(each)
    for each in ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/opt", "/proc", "/sys", "/etc/resolv.conf")
)
"""What every program may read; the last often is a link that leads out of `/etc`."""
DEVICES = Path("/dev")
"""What every program may write."""

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_PR_SET_NO_NEW_PRIVS = 38
_RULE_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_SCOPES = 0b11  # abstract Unix sockets and signals stay within the sandbox

_libc = ctypes.CDLL(None, use_errno=True)


def program_folders(program: Path) -> Iterable[Path]:
    """The environment that a program lies in (its virtual environment, its interpreter), not its whole disk."""
    for each in {program.parent, program.resolve().parent}:
        yield each.parent if each.name in ("bin", "sbin") else each


def abi_version() -> int:
    """The kernel's Landlock version, 0 when it has none."""
    version = int(_libc.syscall(_CREATE, None, 0, 1))
    return max(version, 0)


def protects(folder: Path, writable: Iterable[Path], version: int) -> bool:
    """Whether what lies in `folder`, which may be read, stays as it is, of what this account could write.

    Not when it lies below what may be written; nor before version 3 (Linux 6.2), where a file can be cut to nothing.
    """
    if not os.access(folder, os.W_OK):
        return True
    return version >= 3 and {each.resolve() for each in writable}.isdisjoint((folder, *folder.parents))


def _handled(version: int) -> int:
    bits = 13
    if version >= 2:
        bits = 14
    if version >= 3:
        bits = 15
    if version >= 5:
        bits = 16
    return (1 << bits) - 1


def restrict(readable: Iterable[Path], writable: Iterable[Path], exact: Iterable[Path] = ()) -> None:
    """From now on this process reads and executes only below `readable` and `exact`, and does everything below `writable`.

    Paths that do not exist are left out, and of `exact`, which have no links in them, each that a link leads elsewhere by now: whoever
    may write above a folder could put one there after it was looked at. Raises OSError when the kernel refuses; then nothing is restricted.
    """
    version = abi_version()
    handled = _handled(version)
    attributes = struct.pack("=QQQ", handled, 0, _SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _checked(_libc.syscall(_CREATE, attributes, size, 0))
    try:
        for path in readable:
            _allow(ruleset, path, READ & handled)
        for path in exact:
            _allow(ruleset, path, READ & handled, exact=True)
        for path in writable:
            _allow(ruleset, path, handled)
        _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(_libc.syscall(_RESTRICT, ruleset, 0))
    finally:
        os.close(ruleset)


def hold(folders: Iterable[Path]) -> None:
    """Keep mounted what is mounted there while this process lives.

    A rule is for what was mounted when it was made: a folder that is mounted on demand would be another one when it comes back.
    Folders that cannot be opened are left out.
    """
    for folder in folders:
        with suppress(OSError):
            _found(folder)  # stays open, and is closed in what this process starts


def _allow(ruleset: int, path: Path, access: int, exact: bool = False) -> None:
    try:
        handle = _found(path)
    except OSError:
        return
    try:
        if exact and _opened(handle) != str(path):
            return
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            access &= _OF_FILES
        rule = struct.pack("=Qi", access, handle)
        _checked(_libc.syscall(_ADD, ruleset, _RULE_PATH_BENEATH, rule, 0))
    finally:
        os.close(handle)


def _found(path: Path) -> int:
    try:  # O_PATH alone leaves a folder that is mounted on demand unmounted, and a rule for what lies under a mount is none (open(2))
        return os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY)
    except NotADirectoryError:
        return os.open(path, os.O_PATH | os.O_CLOEXEC)


def _opened(handle: int) -> str:
    """Where what was opened lies, by the kernel's word; empty when it does not say."""
    try:
        return str(Path(f"/proc/self/fd/{handle}").readlink())
    except OSError:
        return ""


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(result)
