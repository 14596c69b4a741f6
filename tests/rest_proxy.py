"""A server between somebody and slurmrestd: notes each request, and answers some of them otherwise."""

from __future__ import annotations

import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

HTML = "<html><body>Bad gateway</body></html>"


@dataclass(frozen=True, slots=True)
class Request:
    """One that came."""

    method: str
    path: str
    username: str
    token: str


Instead = Callable[[Request], bytes | None]


def answer(status: str, body: str = "", kind: str = "application/json", size: int | None = None) -> bytes:
    """A whole answer; or one that says that it has another size."""
    length = len(body.encode()) if size is None else size
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}".encode()


@dataclass
class Proxy:
    """`instead` gives the bytes to answer with, None to pass the request on; with `swallow` what slurmrestd answered is
    lost on the way. Each connection bears one request.
    """

    upstream: Path
    address: str = ""
    requests: list[Request] = field(default_factory=list)
    instead: Instead = lambda _: None
    swallow: Callable[[Request], bool] = lambda _: False
    ended: threading.Event = field(default_factory=threading.Event)

    def serve(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        while not self.ended.is_set():
            with suppress(TimeoutError):
                visitor, _ = listener.accept()
                threading.Thread(target=self._visit, args=(visitor, tls), daemon=True).start()

    def _visit(self, visitor: socket.socket, tls: ssl.SSLContext | None) -> None:
        with suppress(OSError):
            visitor.settimeout(30)
            with tls.wrap_socket(visitor, server_side=True) if tls else visitor as visitor:
                self._answer(visitor)

    def _answer(self, visitor: socket.socket) -> None:
        head, body = _whole(visitor)
        if not head:
            return
        words = head.split("\r\n")
        lines = dict(line.split(": ", 1) for line in words[1:] if ": " in line)
        lower = {key.lower(): value for key, value in lines.items()}
        method, path, _ = words[0].split(" ")
        request = Request(method, path, lower.get("x-slurm-user-name", ""), lower.get("x-slurm-user-token", ""))
        self.requests.append(request)
        told = self.instead(request)
        if told is None:
            told = self._passed_on(f"{head}\r\n\r\n".encode() + body)
            told = b"" if self.swallow(request) else told
        for begin in range(0, len(told), 65536):
            visitor.sendall(told[begin : begin + 65536])

    def _passed_on(self, request: bytes) -> bytes:
        # Not with `Connection: close`: slurmrestd 22.05 writes that line after the body, too.
        with socket.socket(socket.AF_UNIX) as server:
            server.settimeout(30)
            server.connect(str(self.upstream))
            server.sendall(request)
            head, body = _whole(server)
        return f"{head}\r\n\r\n".encode() + body

    def asked(self, end: str, method: str = "GET") -> list[Request]:
        """The requests to paths that end so."""
        return [each for each in self.requests if each.path.split("?")[0].endswith(end) and each.method == method]


def _whole(visitor: socket.socket) -> tuple[str, bytes]:
    said = b""
    while b"\r\n\r\n" not in said:
        part = visitor.recv(65536)
        if not part:
            return "", b""
        said += part
    head, _, body = said.partition(b"\r\n\r\n")
    text = head.decode()
    size = next(
        (int(line.split(":")[1]) for line in text.split("\r\n") if line.lower().startswith("content-length")), 0
    )
    while len(body) < size:
        body += visitor.recv(65536)
    return text, body


@contextmanager
def proxy(upstream: Path, certificate: tuple[Path, Path] | None = None) -> Iterator[Proxy]:
    """One on a Unix socket for everybody; or with TLS on a free port of this machine, when it has a certificate and key."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
    if tls and certificate:
        tls.load_cert_chain(*certificate)
    with tempfile.TemporaryDirectory(prefix="rp-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        with socket.socket(socket.AF_INET if tls else socket.AF_UNIX) as listener:
            listener.bind(("127.0.0.1", 0) if tls else f"{folder}/s")
            if not tls:
                Path(f"{folder}/s").chmod(0o777)
            listener.listen(64)
            listener.settimeout(0.1)
            made = Proxy(upstream, f"https://localhost:{listener.getsockname()[1]}" if tls else f"unix:{folder}/s")
            thread = threading.Thread(target=made.serve, args=(listener, tls))
            thread.start()
            try:
                yield made
            finally:
                made.ended.set()
                thread.join()
