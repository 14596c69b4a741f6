"""Makes `*.localhost` mean this machine, as RFC 6761 §6.3 asks of every resolver and the C library does not."""

from __future__ import annotations

import socket
from typing import Any

_system = socket.getaddrinfo


def _getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
    name = host.decode("latin-1") if isinstance(host, bytes) else host
    if isinstance(name, str) and name.rstrip(".").lower().endswith(".localhost"):
        host = "127.0.0.1"
    return _system(host, *args, **kwargs)


def install() -> None:
    """Use it in this process from now on. Calling it again changes nothing."""
    socket.getaddrinfo = _getaddrinfo
