"""Waiting for real processes, with a deadline and without sleeping longer than a look needs."""

from __future__ import annotations

import http.client
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_pause = threading.Event()


def until(look: Callable[[], T], what: str, deadline: float = 30.0) -> T:
    """The first truthy answer of `look`. Raises AssertionError naming `what` after `deadline` seconds."""
    end = time.monotonic() + deadline
    while not (answer := look()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {deadline:g} s")
        _pause.wait(0.02)
    return answer


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


def alive(process: subprocess.Popen[bytes]) -> bool:
    """Whether it still runs."""
    return process.poll() is None
