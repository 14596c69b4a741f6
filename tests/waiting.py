"""Waiting for real processes, with a deadline and without sleeping longer than a look needs."""

from __future__ import annotations

import http.client
import os
import random
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
_pause = threading.Event()
_LOWEST, _MOST_KEPT = 10_000, 200
_RANDOM, _kept = random.Random(), deque[int]()


def until(look: Callable[[], T], what: str, deadline: float = 30.0) -> T:
    """The first truthy answer of `look`. Raises AssertionError naming `what` after `deadline` seconds."""
    end = time.monotonic() + deadline
    while not (answer := look()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {deadline:g} s")
        _pause.wait(0.02)
    return answer


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on now, and that nobody else who asks here gets before it is listened on.

    An abstract Unix socket of its name keeps it. It lies below those that the kernel gives to connections, where
    those leave room.
    """
    given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    above = given if given >= _LOWEST + _MOST_KEPT else 65_536
    for port in _RANDOM.sample(range(_LOWEST, above), 100):
        keep = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe:
            try:
                keep.bind(f"\0parasol-port-{port}")
                probe.bind(("127.0.0.1", port))
            except OSError:
                keep.close()
                continue
        _kept.append(keep.detach())
        if len(_kept) > _MOST_KEPT:
            os.close(_kept.popleft())
        return port
    raise AssertionError("no port is free")


def http_status(port: int, path: str, host: str) -> int | None:
    """The status of one GET to 127.0.0.1, None while nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def held_by(pid: int) -> set[Path]:
    """The files that a process has open."""
    held = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            held.add(each.readlink())
    return held


def alive(process: subprocess.Popen[bytes]) -> bool:
    """Whether it still runs."""
    return process.poll() is None
