"""A browser's tab as far as cookies and fetch metadata go, and what a person does in it."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson
from websockets.sync.client import ClientConnection, connect

from tests.integration.openid import Op

if TYPE_CHECKING:
    from tests.integration.whole_centre import Facility

SESSION, ATTEMPT = "__Host-parasol", "__Host-parasol-attempt"


@dataclass
class Seen:
    """One answer, redirects not followed."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def location(self) -> str:
        return self.headers["location"] or ""

    @property
    def query(self) -> dict[str, str]:
        """The query of where it sends the browser."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.location).query).items()}


@dataclass
class Tab:
    """A browser as far as cookies and fetch metadata go. `at` is the port of one of several web processes."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    at: int = 0

    @property
    def origin(self) -> str:
        return f"http://portal.localhost:{self.port}"

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Seen:
        """One request; a header that is empty is left out."""
        sent = {"Host": f"portal.localhost:{self.port}", "Sec-Fetch-Site": "same-origin"}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.at or self.port, timeout=15)
        try:
            connection.request(method, path, body, {k: v for k, v in sent.items() if v}, encode_chunked=True)
            answer = connection.getresponse()
            seen = Seen(answer.status, answer.headers, answer.read())
        finally:
            connection.close()
        for line in seen.headers.get_all("set-cookie") or ():
            for name, morsel in SimpleCookie(line).items():
                self.cookies.pop(name, None)
                if morsel["max-age"] != "0":
                    self.cookies[name] = morsel.value
        return seen

    def get(self, path: str, site: str = "same-origin", **headers: str) -> Seen:
        """A navigation of the whole tab, from a page of this `site`."""
        fetch = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
        return self.ask("GET", path, **(fetch | headers))

    def post(self, path: str, form: dict[str, str] | None = None, **headers: str) -> Seen:
        """A form of an own page."""
        kind = {"Content_Type": "application/x-www-form-urlencoded", "Origin": self.origin}
        return self.ask("POST", path, urlencode(form or {}), **(kind | headers))

    def graphql(self, query: str, **more: str) -> Any:
        headers = {"Content_Type": "application/json", "Origin": self.origin} | more
        return orjson.loads(self.ask("POST", "/graphql", orjson.dumps({"query": query}), **headers).body)["data"]

    def me(self) -> str | None:
        """The name that the portal greets with."""
        me = self.graphql("{me{name}}")["me"]
        return str(me["name"]) if me else None

    def sign_in(self, op: Op, back: str = "/", **changes: str) -> Seen:
        """Through the provider and back."""
        start = self.get(f"/signin/op?{urlencode({'return': back})}")
        assert start.status == 302, start.location
        parts = urlsplit(op.answer(start.location, **changes))
        return self.get(f"{parts.path}?{parts.query}", site="cross-site")

    def mirrored(self) -> bool:
        """Whether the portal has read the facility's one open dataset, so that strangers find it."""
        return bool(self.graphql("{openDatasets{totalCount}}")["openDatasets"]["totalCount"] == 1)

    def asked(self) -> bool:
        """Whether the facility itself answers a stranger."""
        files = self.graphql('{files(dataset: "Dataset:alpha:o-1"){totalCount}}')["files"]
        return bool(files and files["totalCount"] == 1)

    def found(self) -> set[str]:
        """The datasets that a search finds for this person."""
        search = self.graphql("{search(query: {}){nodes{pid} outcomes{outcome problem{code}}}}")["search"]
        (outcome,) = [o["outcome"] for o in search["outcomes"]]
        assert outcome in ("OK", "SIGN_IN_NEEDED", "NOT_LINKED"), search
        return {node["pid"] for node in search["nodes"]}


def failed(seen: Seen, reason: str) -> None:
    """Asserts that sign-in ended on its page with this reason, and without a session."""
    assert (seen.status, seen.location) == (303, f"/signin/failed?reason={reason}")
    assert SESSION not in (seen.headers["set-cookie"] or "")


def visit(tab: Tab) -> Seen:
    """A page of the portal sends the tab to the gateway, for both scopes."""
    return tab.get("/connect/alpha/start?scope=read+run&return=/search")


def granted(op: Op, tab: Tab, facility: Facility) -> None:
    """Signs in and fetches a grant."""
    tab.sign_in(op)
    assert tab.get(facility.consent(visit(tab).location), site="cross-site").location.endswith("outcome=OK")


def open_socket(tab: Tab, path: str = "/graphql", **options: Any) -> ClientConnection:
    """A WebSocket as the portal's page opens it."""
    cookies = "; ".join(f"{name}={value}" for name, value in tab.cookies.items())
    options = {
        "origin": tab.origin, "subprotocols": ["graphql-transport-ws"], "additional_headers": {"Cookie": cookies},
        "compression": None, "open_timeout": 10,
    } | options  # fmt: skip
    return connect(
        f"ws://portal.localhost:{tab.port}{path}",
        sock=socket.create_connection(("127.0.0.1", tab.at or tab.port), timeout=10),
        **options,
    )
