"""The door: what it refuses never reaches the application behind it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.door import Door, Site, security_headers

ORIGIN = "https://portal.example.org"
SITE = Site(
    ORIGIN,
    headers=security_headers(scripts=True, trusted_types=True, form_action=["https://login.example.org"]),
    starts=("/connect/alpha/start",),
    open_paths=frozenset({"/backchannel/umbrella"}),
    body_limit=100,
)
COOKIE = ("cookie", "__Host-parasol=x")
NAVIGATION = (("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"))


class House:
    """A door with an application behind it that reads its body and notes who came in."""

    def __init__(self) -> None:
        self.came_in: list[str] = []
        self.door = Door(self._app, lambda host: SITE if host == "portal.example.org" else None)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            while (await receive()).get("more_body"):
                pass
        self.came_in.append(scope["path"])
        assert scope["parasol.site"] is SITE
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            return
        headers = [(b"content-type", b"text/plain"), (b"Content-Security-Policy", b"default-src *")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"in"})

    async def knock(
        self,
        *headers: tuple[str, str],
        path: str = "/",
        method: str = "GET",
        kind: str = "http",
        host: str = "portal.example.org",
        body: tuple[bytes, ...] = (b"",),
    ) -> list[dict[str, Any]]:
        raw = [(name.encode(), value.encode()) for name, value in (*([("host", host)] if host else ()), *headers)]
        parts = [{"type": "websocket.connect"}] if kind == "websocket" else []
        if kind == "http":
            parts = [
                {"type": "http.request", "body": part, "more_body": number < len(body) - 1}
                for number, part in enumerate(body)
            ]
        incoming = iter(parts)
        sent: list[dict[str, Any]] = []

        async def receive() -> Any:
            return next(incoming)

        async def send(message: Any) -> None:
            sent.append(dict(message))

        await self.door({"type": kind, "path": path, "method": method, "headers": raw}, receive, send)
        return sent

    async def refused(self, status: int, reason: str, *headers: tuple[str, str], **options: Any) -> None:
        """Asserts the refusal, and that nothing came in."""
        sent = await self.knock(*headers, **options)
        assert self.came_in == []
        if options.get("kind") == "websocket":
            assert sent == [{"type": "websocket.close", "code": 4403, "reason": reason}]
            return
        assert sent[0]["status"] == status
        told = json.loads(sent[1]["body"])
        assert told["reason"] == reason
        assert told["message"].endswith(".")


@pytest.fixture
def house() -> House:
    return House()


@pytest.mark.parametrize("host", ["evil.example.org", "portal.example.org:8080", "portal.example.org.", ""])
async def test_an_unknown_host_is_refused(house: House, host: str) -> None:
    await house.refused(421, "UNKNOWN_HOST", host=host)


async def test_two_host_headers_are_refused(house: House) -> None:
    await house.refused(421, "UNKNOWN_HOST", ("host", "portal.example.org"))


async def test_a_socket_to_an_unknown_host_is_refused(house: House) -> None:
    await house.refused(0, "UNKNOWN_HOST", ("origin", ORIGIN), host="evil.example.org", kind="websocket")


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://evil.example.org",
        "http://portal.example.org",
        ORIGIN + ":444",
        ORIGIN + "/",
        "",
        ORIGIN.upper(),
    ],
)
async def test_an_unsafe_method_with_another_origin_is_refused(house: House, origin: str) -> None:
    await house.refused(403, "FOREIGN_ORIGIN", ("origin", origin), method="POST", path="/graphql")
    await house.refused(403, "FOREIGN_ORIGIN", ("origin", origin), COOKIE, method="DELETE")
    await house.refused(403, "FOREIGN_ORIGIN", ("origin", origin), COOKIE, kind="websocket", path="/graphql")


async def test_an_unsafe_method_with_a_cookie_and_no_origin_is_refused(house: House) -> None:
    await house.refused(403, "FOREIGN_ORIGIN", COOKIE, method="POST")
    await house.refused(403, "FOREIGN_ORIGIN", COOKIE, ("origin", ORIGIN), ("origin", ORIGIN), method="POST")


async def test_a_socket_without_origin_is_refused(house: House) -> None:
    await house.refused(0, "FOREIGN_ORIGIN", kind="websocket", path="/graphql")


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
@pytest.mark.parametrize(
    ("method", "mode", "dest"),
    [
        ("GET", "cors", "empty"),
        ("GET", "no-cors", "image"),
        ("GET", "navigate", "iframe"),
        ("GET", "navigate", "object"),
        ("POST", "navigate", "document"),
        ("POST", "no-cors", "empty"),
    ],
)
async def test_another_sites_page_only_navigates(
    house: House, site: str, method: str, mode: str, dest: str
) -> None:
    fetch = (("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest))
    await house.refused(403, "FOREIGN_ORIGIN", *fetch, method=method)
    await house.refused(403, "FOREIGN_ORIGIN", *fetch, ("origin", ORIGIN), method=method)


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
async def test_another_site_may_navigate_but_not_to_what_starts_something(house: House, site: str) -> None:
    await house.refused(403, "FOREIGN_ORIGIN", ("sec-fetch-site", site), *NAVIGATION, path="/connect/alpha/start")
    await house.knock(("sec-fetch-site", site), *NAVIGATION, COOKIE, path="/connect/callback")
    assert house.came_in == ["/connect/callback"]


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_own_pages_and_typed_addresses_may_start(house: House, site: str) -> None:
    await house.knock(("sec-fetch-site", site), *NAVIGATION, path="/connect/alpha/start")
    assert house.came_in == ["/connect/alpha/start"]


async def test_own_posts_and_sockets_come_in(house: House) -> None:
    own = (("origin", ORIGIN), COOKIE, ("sec-fetch-site", "same-origin"))
    await house.knock(*own, method="POST", path="/signout")
    await house.knock(*own, kind="websocket", path="/graphql")
    assert house.came_in == ["/signout", "/graphql"]


async def test_other_servers_post_to_open_paths_without_origin(house: House) -> None:
    sent = await house.knock(method="POST", path="/backchannel/umbrella", body=(b"x" * 50,))
    assert house.came_in == ["/backchannel/umbrella"]
    assert sent[0]["status"] == 200
    await house.knock(method="POST", path="/backchannel/umbrella/", body=(b"",))
    assert house.came_in == ["/backchannel/umbrella", "/backchannel/umbrella/"]


@pytest.mark.parametrize("path", ["/signout", "/backchannel/umbrella"])
async def test_a_body_over_its_bound_is_refused(house: House, path: str) -> None:
    own = ("origin", ORIGIN)
    await house.refused(413, "BODY_TOO_LARGE", own, ("content-length", "101"), method="POST", path=path)
    chunks = (b"x" * 60, b"x" * 60)
    await house.refused(413, "BODY_TOO_LARGE", own, method="POST", path=path, body=chunks)
    await house.refused(413, "BODY_TOO_LARGE", own, ("content-length", "5"), method="POST", path=path, body=chunks)


async def test_every_answer_carries_the_security_headers_once(house: House) -> None:
    sent = await house.knock()
    headers: dict[str, list[str]] = {}
    for name, value in sent[0]["headers"]:
        headers.setdefault(name.decode().lower(), []).append(value.decode())
    (policy,) = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self' https://login.example.org" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    assert headers["referrer-policy"] == ["same-origin"], "no-referrer would make our own forms carry Origin: null"
    assert "strict-transport-security" not in headers


@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "X"]),
    st.sampled_from(["", "null", "https://evil.example.org", ORIGIN]),
    st.sampled_from(["", "none", "same-origin", "same-site", "cross-site", "odd"]),
    st.booleans(),
)
async def test_no_foreign_page_ever_brings_a_cookie_and_an_unsafe_method(
    method: str, origin: str, site: str, has_cookie: bool
) -> None:
    house = House()
    headers = [("sec-fetch-site", site), *NAVIGATION] + ([("origin", origin)] if origin else [])
    await house.knock(*headers, *([COOKIE] if has_cookie else []), method=method)
    if house.came_in and has_cookie and method not in ("GET", "HEAD"):
        assert origin == ORIGIN
        assert site not in ("same-site", "cross-site")
