"""Pure: whether an account may read a folder, by its mode and its POSIX ACL (`acl(5)`)."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from facility_agent.ports.directory import Account

READ, ENTER = 4, 1
_VERSION, _HEADER, _ENTRY = 2, struct.Struct("<I"), struct.Struct("<HHI")
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20


@dataclass(frozen=True, slots=True)
class Rights:
    """What the file system says of one folder.

    `acl` is the value of `system.posix_acl_access`, empty without one (Linux, `include/uapi/linux/posix_acl_xattr.h`).
    `is_whole` is False where other rules count that cannot be read here, as an ACL of NFSv4.
    """

    mode: int
    uid: int
    gid: int
    acl: bytes = b""
    is_whole: bool = True


def permits(rights: Rights, account: Account, wanted: int) -> bool | None:
    """Whether the account has all the `wanted` bits there; None when that cannot be told."""
    if not rights.is_whole:
        return None
    try:
        # An empty mask: Linux does not even look at the ACL then (`acl_permission_check` in fs/namei.c).
        by_acl = rights.acl and rights.mode & stat.S_IRWXG
        entries = list(_entries(rights.acl)) if by_acl else _of_mode(rights.mode)
    except (struct.error, ValueError):
        return None
    return _granted(entries, rights, account, wanted)


def _granted(entries: list[tuple[int, int, int]], rights: Rights, account: Account, wanted: int) -> bool:
    """The order of `acl(5)`: owner, named user, groups (one that has all of it is enough), others."""
    mask = next((bits for tag, bits, _ in entries if tag == _MASK), 7)
    if account.uid == rights.uid:
        return _has(_only(entries, _USER_OBJ), wanted)
    named = [bits & mask for tag, bits, who in entries if tag == _USER and who == account.uid]
    if named:
        return _has(named[0], wanted)
    groups = {account.gid, *account.groups}
    mine = [
        bits & mask
        for tag, bits, who in entries
        if (tag == _GROUP_OBJ and rights.gid in groups) or (tag == _GROUP and who in groups)
    ]
    if mine:
        return any(_has(bits, wanted) for bits in mine)
    return _has(_only(entries, _OTHER), wanted)


def _of_mode(mode: int) -> list[tuple[int, int, int]]:
    bits = stat.S_IMODE(mode)
    return [(_USER_OBJ, bits >> 6 & 7, 0), (_GROUP_OBJ, bits >> 3 & 7, 0), (_OTHER, bits & 7, 0)]


def _entries(acl: bytes) -> Iterator[tuple[int, int, int]]:
    """(tag, bits, id) of each. Raises ValueError or struct.error for what is no such ACL."""
    if _HEADER.unpack_from(acl)[0] != _VERSION:
        raise ValueError("an ACL of another version")
    yield from _ENTRY.iter_unpack(acl[_HEADER.size :])


def _only(entries: list[tuple[int, int, int]], tag: int) -> int:
    return next((bits for each, bits, _ in entries if each == tag), 0)


def _has(bits: int, wanted: int) -> bool:
    return bits & wanted == wanted


def rights_of(path: Path) -> Rights:
    """What the file system says of a folder. Raises OSError. Blocks."""
    seen = path.lstat()
    names = os.listxattr(path, follow_symlinks=False)
    acl = os.getxattr(path, "system.posix_acl_access") if "system.posix_acl_access" in names else b""
    return Rights(seen.st_mode, seen.st_uid, seen.st_gid, acl, is_whole="system.nfs4_acl" not in names)
