"""What may be said to the helper: four bytes of length (big-endian), then one JSON object. Anything else is refused.

Answers have the same form: {"ok": …} or {"reason": …, "error": one sentence}.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from typing import Any

LONGEST = 256 * 1024
WORKSPACE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
USERNAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.@-]{0,63}")


class Refused(Exception):
    """`reason` as in shared.errors, and one sentence."""

    def __init__(self, reason: str, sentence: str) -> None:
        self.reason, self.sentence = reason, sentence
        super().__init__(sentence)


def invalid(what: str) -> Refused:
    """A message that is not understood."""
    return Refused("INVALID_REQUEST", f"The message is not valid: {what}.")


def _text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value and len(value) <= 8192


def _path(value: Any) -> bool:
    return _text(value) and value.startswith("/") and "/../" not in f"{value}/"


def _number(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _many(check: Callable[[Any], bool], most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and len(value) <= most and all(check(each) for each in value)


def _id(value: Any) -> bool:
    return isinstance(value, str) and WORKSPACE.fullmatch(value) is not None


def _mount(value: Any) -> bool:
    """[where in the workspace: one name, or two with a slash, folder, read_only]."""
    whole = isinstance(value, list) and len(value) == 3 and _text(value[0]) and _path(value[1])
    names = value[0].split("/") if whole else []
    return whole and len(names) in (1, 2) and not {"", ".", ".."} & {*names} and isinstance(value[2], bool)


RESULTS = re.compile(r"[^/\0]{1,200}(/[^/\0]{1,255}){1,2}")


def _task(value: Any) -> bool:
    """None, or {"results": its place in the workspace, "facts": text}."""
    if not isinstance(value, dict) or set(value) != {"results", "facts"}:
        return value is None
    place, facts = value["results"], value["facts"]
    whole = (
        isinstance(place, str) and RESULTS.fullmatch(place) is not None and not {".", ".."} & {*place.split("/")}
    )
    return whole and isinstance(facts, str) and len(facts) <= LONGEST // 2


WORD = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.,:/@&|*()\[\]+-]{0,199})?")


def _word(value: Any) -> bool:
    """A name in Slurm's configuration, or none."""
    return isinstance(value, str) and WORD.fullmatch(value) is not None


def _ports(value: Any) -> bool:
    """[least, most], none of them privileged."""
    return _many(_number(1024, 65535), 2)(value) and len(value) == 2 and value[0] <= value[1]


def _variables(value: Any) -> bool:
    return isinstance(value, dict) and len(value) <= 100 and all(_text(text) for text in value.values())


_ID: dict[str, Callable[[Any], bool]] = {"id": _id}
_WHO: dict[str, Callable[[Any], bool]] = {
    "username": lambda value: isinstance(value, str) and USERNAME.fullmatch(value) is not None,
    "uid": _number(1, 2**32 - 3), "gid": _number(1, 2**32 - 3), "groups": _many(_number(1, 2**32 - 3), 65_536),
    "home": _path, "command": lambda value: _many(_text, 1000)(value) and len(value) > 0 and _path(value[0]),
    "variables": _variables, "task": _task, "mounts": _many(_mount, 1000), "cpus": _number(1, 4096), "memory": _number(2**24, 2**50),
}  # fmt: skip
VERBS: dict[str, dict[str, Callable[[Any], bool]]] = {
    "describe": {},
    "look": {"ids": _many(_id, 5000)},
    "stop": _ID,
    "share": _ID,
    "start": {
        **_ID, **_WHO, "readable": _many(_path, 1000), "writable": _many(_path, 1000), "grace_s": _number(0, 120),
    },
    "slurm_submit": {
        **_ID, **_WHO, "readable": _many(_path, 1000), "writable": _many(_path, 1000), "minutes": _number(1, 527_040), "ports": _ports, "partition": _word, "account": _word,
        "qos": _word, "reservation": _word, "constraint": _word, "gres": _word,
        "modules": lambda value: _many(_word, 100)(value) and all(value), "secret": _text,
        "image": lambda value: value == "" or _path(value),
        "listen": lambda value: isinstance(value, str) and re.fullmatch(r"[0-9a-f.:]{0,45}", value) is not None,
        "door": lambda value: isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None,
    },
    "slurm_cancel": _ID,
    "slurm_token": {},
    "slurm_read": {**_ID, "what": lambda value: value in ("endpoint", "log")},
}  # fmt: skip


def receive(connection: socket.socket) -> bytes:
    """One message's bytes. Raises Refused for one that is too long or ends half-way, OSError."""
    size = int.from_bytes(_exactly(connection, 4), "big")
    if size > LONGEST:
        raise invalid("it is too long")
    return _exactly(connection, size)


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        part = connection.recv(size - len(received))
        if not part:
            raise invalid("it ends half-way")
        received += part
    return received


def send(connection: socket.socket, answer: object) -> None:
    """One message. Raises OSError."""
    body = json.dumps(answer).encode()
    connection.sendall(len(body).to_bytes(4, "big") + body)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError
    return dict(pairs)


def parse(body: bytes) -> tuple[str, dict[str, Any]]:
    """(verb, its fields): all of them, no other, each within its bounds. Raises Refused."""
    try:
        said = json.loads(body, object_pairs_hook=_once)
        json.dumps(said, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        raise invalid("it is no JSON object") from None
    verb = said.pop("verb", None) if isinstance(said, dict) else None
    if not isinstance(verb, str) or verb not in VERBS:
        raise invalid("there is no such verb")
    fields = VERBS[verb]
    if set(said) != set(fields):
        raise invalid(f"{verb} has exactly these fields: {', '.join(fields) or 'none'}")
    for name, good in fields.items():
        if not good(said[name]):
            raise invalid(f"{name} is out of bounds")
    return verb, said
