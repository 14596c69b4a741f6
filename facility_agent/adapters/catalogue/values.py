"""What other systems' JSON says, as values of ours. Pure: whatever a field holds, there is an answer and no error."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from shared.errors import InvalidRequest
from shared.techniques import canonical

LISTED = 50
PID, NAME, TITLE, PARAGRAPH, MOST = 512, 100, 300, 5000, 300
LARGEST = 2**63 - 1
_SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")
_WINDOWS = re.compile(r"\\|[A-Za-z]:[\\/]")


def is_name(value: Any) -> bool:
    """Whether a value can name a proposal: 1 to 100 visible characters, no space around them; in UTF-8 at most 300."""
    good = isinstance(value, str) and 1 <= len(value) <= NAME and value.isprintable() and value == value.strip()
    return good and len(value.encode()) <= MOST


def shown_pid(pid: str) -> str:
    """Another system's pid as Parasol's: `/` is written %2F and `%` is written %25, since no pid of Parasol's has a slash."""
    return pid.replace("%", "%25").replace("/", "%2F")


def raw_pid(pid: str) -> str | None:
    """What `shown_pid` was given, None for what it does not write."""
    raw = unquote(pid) if pid.isprintable() and len(pid) <= PID else ""
    return raw if raw and raw.isprintable() and shown_pid(raw) == pid else None


def pid_of(row: Any) -> str | None:
    """The other system's pid of a record, None when it cannot be shown."""
    pid = row.get("pid")
    if not isinstance(pid, str) or not pid.isprintable() or pid != pid.strip():
        return None
    return pid if pid and len(pid.encode()) <= MOST and len(shown_pid(pid)) <= PID else None


def milliseconds(value: Any) -> int | None:
    """A time as JSON has it (ISO 8601; without a zone it is UTC) in POSIX milliseconds, None for none."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def time_of(value: Any) -> float | None:
    """The same in seconds."""
    ms = milliseconds(value)
    return None if ms is None else ms / 1000


def plain(value: Any, most: int = TITLE) -> str:
    """One line of visible text, empty for what is none."""
    if not isinstance(value, str):
        return ""
    shown = "".join(" " if c.isspace() else c for c in value[: 4 * most] if c.isspace() or c.isprintable())
    return " ".join(shown.split())[:most].rstrip()


def count(value: Any) -> int:
    """A whole number that is not negative; JavaScript's are floats beyond 2^53."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
    return min(int(value), LARGEST) if good else 0


def texts(value: Any) -> list[str]:
    """The texts of a list."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def words(value: Any) -> tuple[str, ...]:
    """Keywords."""
    said = (plain(word, NAME) for word in value[:LISTED]) if isinstance(value, list) else ()
    return tuple(word for word in said if word)


def techniques(value: Any) -> tuple[str, ...]:
    """The terms of a list of `{pid}`, as `shared.techniques.canonical` writes them."""
    found: dict[str, None] = {}
    for each in value[:LISTED] if isinstance(value, list) else ():
        pid = each.get("pid") if isinstance(each, dict) else None
        if isinstance(pid, str):
            try:
                found[canonical(pid)] = None
            except InvalidRequest:
                continue
    return tuple(found)


def licence(value: Any) -> str:
    """An SPDX identifier, empty for what is none."""
    return value if isinstance(value, str) and _SPDX.fullmatch(value) else ""


def inner_path(path: Any) -> str | None:
    """A path below some root; None for what is none or leads elsewhere, as absolute and Windows paths and `..` do."""
    if not isinstance(path, str) or not path.isprintable() or len(path) > 4096 or _WINDOWS.match(path):
        return None
    return None if {"", ".", ".."} & set(path.split("/")) else path
