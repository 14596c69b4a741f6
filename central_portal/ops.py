"""What a machine's own collector asks of a process: /metrics for Prometheus, /healthz for its keeper. On loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from central_portal.settings import SettingsError
from shared.wire.addresses import parse_address


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    healthy: Callable[[], bool]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._answer(200, CONTENT_TYPE_LATEST, generate_latest())
        elif self.path == "/healthz":
            good = self.server.healthy()
            self._answer(200 if good else 503, "text/plain", b"ok\n" if good else b"not serving\n")
        else:
            self._answer(404, "text/plain", b"Not found\n")

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: a look every few seconds is no news."""


@contextmanager
def operations(address: str, healthy: Callable[[], bool]) -> Iterator[None]:
    """Answer on `address` in a thread while the context lasts; empty: do not. Raises SettingsError."""
    if not address:
        yield
        return
    at = parse_address(address)
    try:
        server = _Server((at.host, at.port), _Handler)
    except OSError as error:
        raise SettingsError(f"PARASOL_METRICS: cannot listen on {address}: {error.strerror}") from None
    server.healthy = healthy
    thread = threading.Thread(target=server.serve_forever, name="operations", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
