"""What a browser does at a facility's gateway: bytes on a connection, WebSockets, and the way into a workspace."""

from __future__ import annotations

import http.client
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from websockets.sync.client import ClientConnection, connect

from tests.integration.whole_facility import PASS, WholeFacility

if TYPE_CHECKING:
    from collections.abc import Iterator


class Visitor:
    """A browser's cookies for the gateway and one workspace; follows nothing by itself."""

    def __init__(self, site: WholeFacility, name: str = "ada") -> None:
        self.site, self.name = site, name
        self.jar: dict[str, dict[str, str]] = {}

    def get(self, url: str, fetch_site: str = "none") -> tuple[int, str, str]:
        """(status, location, body) of a navigation."""
        parts = urlsplit(url)
        cookies = self.jar.setdefault(parts.netloc, {})
        headers = {
            "Host": parts.netloc, "Accept": "text/html", "Sec-Fetch-Site": fetch_site, "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "document", "Cookie": "; ".join(f"{k}={v}" for k, v in cookies.items()),
        }  # fmt: skip
        connection = http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=10)
        try:
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", path, headers={k: v for k, v in headers.items() if v})
            answer = connection.getresponse()
            for line in answer.headers.get_all("set-cookie") or ():
                name, _, value = line.partition(";")[0].partition("=")
                cookies.pop(name, None)
                if "max-age=0" not in line.lower():
                    cookies[name] = value
            return answer.status, answer.headers["location"] or "", answer.read().decode()
        finally:
            connection.close()

    def post(self, url: str, form: dict[str, str], **headers: str) -> tuple[int, str, str]:
        """(status, location, body) of a form that is sent: from the gateway's own page, unless `headers` say otherwise."""
        parts = urlsplit(url)
        cookies = "; ".join(f"{k}={v}" for k, v in self.jar.setdefault(parts.netloc, {}).items())
        sent = {
            "Host": parts.netloc, "Origin": f"http://{parts.netloc}", "Sec-Fetch-Site": "same-origin", "Cookie": cookies,
            "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Content-Type": "application/x-www-form-urlencoded",
        } | {name.replace("_", "-"): value for name, value in headers.items()}  # fmt: skip
        connection = http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=10)
        try:
            connection.request("POST", parts.path, urlencode(form), {k: v for k, v in sent.items() if v})
            answer = connection.getresponse()
            return answer.status, answer.headers["location"] or "", answer.read().decode()
        finally:
            connection.close()

    def signed_in(self, url: str) -> str:
        """Through the provider as this person; where the gateway sends the browser next."""
        self.site.op.person = (self.name, f"sid-{self.name}")
        status, there, body = self.get(url)
        while there.startswith(self.site.op.issuer):
            status, there, body = self.get(self.site.op.answer(there), "cross-site")
        assert status in (302, 303), body
        return there

    def knock(self, workspace_id: str, path: str = "/") -> str:
        """The address at the gateway that a workspace without a cookie sends to."""
        status, there, _ = self.get(f"http://{self.site.host_of(workspace_id)}{path}")
        assert status == 302
        return there

    def code(self, workspace_id: str, path: str = "/") -> str:
        """The address with the one-time code, before it is visited."""
        gateway = f"http://{self.site.host}"
        there = self.signed_in(self.knock(workspace_id, path))
        while there.startswith(("/", gateway)):
            status, there, body = self.get(gateway + there.removeprefix(gateway), "same-origin")
            assert status == 302, body
        return there


@contextmanager
def raw_connection(site: WholeFacility) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", site.port), timeout=15) as connection:
        yield connection


def head(site: WholeFacility, workspace_id: str, cookie: str, *lines: str, first: str = "GET / HTTP/1.1") -> bytes:
    """A request's head, as a script of the workspace's own page sends it."""
    host = site.host_of(workspace_id)
    own = (f"Host: {host}", f"Origin: http://{host}", f"Cookie: {PASS}={cookie}")
    return "\r\n".join([first, *own, *lines]).encode("latin-1") + b"\r\n\r\n"


def until_seen(connection: socket.socket, what: bytes) -> None:
    """Reads until `what` has come."""
    seen = b""
    while what not in seen:
        part = connection.recv(65536)
        assert part, f"closed after {seen!r}"
        seen += part


def until_closed(connection: socket.socket) -> bytes:
    """Everything that comes until the gateway closes."""
    seen = b""
    while part := connection.recv(65536):
        seen += part
    return seen


def open_socket(
    site: WholeFacility, workspace_id: str, cookie: str, path: str = "/ws", **options: Any
) -> ClientConnection:
    """A WebSocket as the workspace's own page opens it."""
    host = site.host_of(workspace_id)
    options = {
        "origin": f"http://{host}",
        "additional_headers": {"Cookie": f"{PASS}={cookie}"},
        "open_timeout": 10,
    } | options
    return connect(
        f"ws://{host}{path}", sock=socket.create_connection(("127.0.0.1", site.port), timeout=10), **options
    )
