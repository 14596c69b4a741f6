"""Who is at the other end of a Unix socket."""

from __future__ import annotations

import socket
import struct


def peer_uid(connection: socket.socket) -> int:
    """The uid of the process that connected, or that listened, as the kernel says it (`SO_PEERCRED`, unix(7))."""
    uid: int = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
    return uid
