"""The C library's own account calls, which tell "there is none" from "nobody can tell" (`pwd` does not)."""

from __future__ import annotations

import ctypes
import errno
import os
from dataclasses import dataclass

_LARGEST = 4 * 2**20
_libc = ctypes.CDLL(None, use_errno=True)


class _Passwd(ctypes.Structure):
    """`struct passwd` of glibc, <pwd.h>."""

    _fields_ = [
        ("name", ctypes.c_char_p), ("password", ctypes.c_char_p), ("uid", ctypes.c_uint32), ("gid", ctypes.c_uint32),
        ("gecos", ctypes.c_char_p), ("folder", ctypes.c_char_p), ("shell", ctypes.c_char_p),
    ]  # fmt: skip


class _Group(ctypes.Structure):
    """`struct group` of glibc, <grp.h>."""

    _fields_ = [
        ("name", ctypes.c_char_p), ("password", ctypes.c_char_p), ("gid", ctypes.c_uint32),
        ("members", ctypes.POINTER(ctypes.c_char_p)),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the password database with all groups of the account: gid → name."""

    name: str
    uid: int
    gid: int
    gecos: str
    folder: str
    shell: str
    groups: dict[int, str]


def look_up(name: str) -> Entry | None:
    """The account of a name, None when the system has none.

    Raises OSError when a source cannot be asked, and LookupError when the account is in a group that has no name.
    """
    found = _Passwd()
    if not _ask("getpwnam_r", name.encode(), found):
        return None
    text = [_text(value) for value in (found.name, found.gecos, found.folder, found.shell)]
    # A source that fails in between leaves groups out without a word; then it cannot name the primary group either.
    gids = os.getgrouplist(name, found.gid)
    return Entry(
        name=text[0], uid=found.uid, gid=found.gid, gecos=text[1], folder=text[2], shell=text[3],
        groups={gid: _group(gid) for gid in gids},
    )  # fmt: skip


def _group(gid: int) -> str:
    found = _Group()
    if not _ask("getgrgid_r", ctypes.c_uint32(gid), found):
        raise LookupError(gid)
    return _text(found.name)


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="surrogateescape")


def _ask(call: str, key: bytes | ctypes.c_uint32, into: ctypes.Structure) -> bool:
    """Whether there is one. The strings of `into` live in a buffer that it keeps alive."""
    size = 16_384
    while size <= _LARGEST:
        buffer, result = ctypes.create_string_buffer(size), ctypes.c_void_p()
        ctypes.set_errno(
            errno.EIO
        )  # glibc returns errno when no source could be asked, and not every source sets it
        code = getattr(_libc, call)(key, ctypes.byref(into), buffer, ctypes.c_size_t(size), ctypes.byref(result))
        if code == 0:
            into.buffer = buffer
            return result.value is not None
        if code not in (errno.ERANGE, errno.EINTR):
            raise OSError(code, os.strerror(code))
        size *= 4
    raise OSError(errno.ERANGE, os.strerror(errno.ERANGE))
