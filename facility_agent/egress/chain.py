"""Pure: records as lines, each bound to the one before it.

A line is one JSON object. Its first members are `sequence` and `previous`, the hash of the record before it; its
last is `hash`, the hex SHA-256 of the line's bytes before `,"hash":`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from facility_agent.ports.egress import Entry, Head

LINE_BYTES = 64 * 1024
BEGAN, RECOVERED, RESUMED = "log.began", "log.recovered", "log.resumed"
_SEAL = re.compile(rb',"hash":"([0-9a-f]{64})"\}\n')
_SEAL_BYTES = 76


class Broken(Exception):
    """A line that is not the record that must follow here. The message says what is wrong, to the operator."""


def record_of(entry: Entry, pseudonym: str, now: float) -> dict[str, Any]:
    """What a record says; what is empty is left out."""
    said: dict[str, Any] = {
        "at": instant(now), "kind": entry.kind.value, "verb": entry.verb, "outcome": entry.outcome, "person": pseudonym,
        "about": entry.about, "fields": dict(entry.fields), "bytes": entry.size, "digest": entry.digest,
    }  # fmt: skip
    return {key: value for key, value in said.items() if value or key in ("at", "kind", "verb")}


def instant(seconds: float) -> str:
    """POSIX seconds as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sealed(record: Mapping[str, Any], after: Head) -> tuple[bytes, Head]:
    """The line that follows `after`, and the head that it makes."""
    rest = json.dumps(record, separators=(",", ":"))[1:-1].encode()
    body = _begin(after) + rest
    head = Head(after.sequence + 1, hashlib.sha256(body).hexdigest())
    return b'%s,"hash":"%s"}\n' % (body, head.hash.encode()), head


def follows(line: bytes, after: Head) -> Head:
    """The head that a line makes, newline included. Raises Broken unless it is the record that follows `after`."""
    number = after.sequence + 1
    seal = _SEAL.fullmatch(line[-_SEAL_BYTES:])
    if seal is None:
        raise Broken(f"record {number}: the line is not a whole record")
    body = line[:-_SEAL_BYTES]
    if hashlib.sha256(body).hexdigest().encode() != seal[1]:
        raise Broken(f"record {number}: its content was changed")
    if not body.startswith(_begin(after)):
        raise Broken(f"record {number}: {_why(body, after)}")
    return Head(number, seal[1].decode())


def previous_of(line: bytes) -> Head:
    """The head that a line says it follows. Raises Broken."""
    try:
        said = json.loads(line)
        return Head(int(said["sequence"]) - 1, str(said["previous"]))
    except (ValueError, TypeError, KeyError) as error:
        raise Broken("the line is not a record") from error


def _begin(after: Head) -> bytes:
    return b'{"sequence":%d,"previous":"%s",' % (after.sequence + 1, after.hash.encode())


def _why(body: bytes, after: Head) -> str:
    try:
        found = previous_of(body + b"}").sequence + 1
    except Broken:
        return "the line is not a record"
    if found == after.sequence + 1:
        return "it does not follow the record before it"
    return f"record {found} stands in its place"
