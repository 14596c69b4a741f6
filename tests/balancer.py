"""A TCP balancer in front of several hubs: each new connection goes to the first that accepts it."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Balancer:
    """Listens on a port of 127.0.0.1; `targets` are ports, tried in order."""

    def __init__(self, *targets: int) -> None:
        self.targets = list(targets)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = self._dial()
            if server is None:
                client.close()
                continue
            self._open |= {client, server}
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=(one, other), daemon=True).start()

    def _dial(self) -> socket.socket | None:
        for port in self.targets:
            with suppress(OSError):
                return socket.create_connection(("127.0.0.1", port), timeout=2)
        return None

    def _copy(self, one: socket.socket, other: socket.socket) -> None:
        one.settimeout(None)
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
            self._open.discard(end)

    def cut(self) -> None:
        """Every connection is lost."""
        for end in tuple(self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """No more connections."""
        self._listener.close()
        self.cut()
