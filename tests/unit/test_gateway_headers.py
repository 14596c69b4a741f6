"""Which headers pass the proxy, each way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility_agent.gateway.headers import answer_head, cookie_of, own_answer, request_head
from facility_agent.gateway.heads import AnswerHead, RequestHead, parse_answer, parse_request
from shared.limits import LIMITS

SECRET = (("Authorization", "token secret"), ("X-Token", "t"))


def browser(*lines: str, socket: bool = False) -> RequestHead:
    upgrade = ("Connection: keep-alive, Upgrade", "Upgrade: websocket") if socket else ()
    text = "\r\n".join(["GET /a HTTP/1.1", "Host: ws.zone", *upgrade, *lines])
    return parse_request(text.encode() + b"\r\n\r\n")


def sent(*lines: str, socket: bool = False) -> dict[str, list[str]]:
    """What a workspace gets when a browser sends these lines."""
    raw = request_head(browser(*lines, socket=socket), SECRET, "https")
    found: dict[str, list[str]] = {}
    for line in raw.decode("latin-1").split("\r\n")[1:-2]:
        name, _, value = line.partition(": ")
        found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: token stolen", "X-Token: stolen", "x_token: stolen", "X_Forwarded_Proto: stolen", "Forwarded: for=stolen",
        "X-Forwarded-For: stolen", "X-Forwarded-Host: stolen", "X-Forwarded-Proto: stolen", "X-Real-IP: stolen", "Via: stolen",
        "Proxy-Authorization: stolen", "TE: stolen", "Trailer: stolen", "Keep-Alive: stolen", "Expect: stolen",
        "Proxy-Connection: stolen", "Upgrade: stolen", "Sec-WebSocket-Key: stolen", "Connection: X-Mine\r\nX-Mine: stolen",
        "Cookie: __Host-parasol-ws=stolen; __Host-parasol-st-1=stolen",
    ],
)  # fmt: skip
def test_a_browser_says_nothing_that_only_the_gateway_may_say(line: str) -> None:
    found = sent(line)
    assert "stolen" not in repr(found)
    assert found["authorization"] == ["token secret"]
    assert found["x-token"] == ["t"]
    assert found["x-forwarded-host"] == ["ws.zone"]
    assert found["x-forwarded-proto"] == ["https"]


def test_a_connection_header_cannot_take_off_what_the_gateway_adds() -> None:
    assert sent("Connection: authorization, host, x-forwarded-host") == sent()


def test_a_workspaces_own_cookies_pass_and_ours_do_not() -> None:
    lines = ("Cookie: a=1; __Host-parasol-ws=x; b=2", "Cookie: c=3")
    assert sent(*lines)["cookie"] == ["a=1; b=2; c=3"]
    assert "cookie" not in sent("Cookie: __Host-parasol-ws=x")
    assert cookie_of(browser(*lines), "__Host-parasol-ws") == "x"
    assert cookie_of(browser("Cookie: x__Host-parasol-ws=evil"), "__Host-parasol-ws") == ""


def test_cookies_beyond_the_bound_are_dropped_but_the_door_still_opens() -> None:
    tossed = "; ".join(f"t{i}={'x' * 1000}" for i in range(20))
    head = browser(f"Cookie: {tossed}; __Host-parasol-ws=mine")
    assert cookie_of(head, "__Host-parasol-ws") == "mine"
    assert b"cookie" not in request_head(head, (), "http")
    full = "a=" + "x" * (LIMITS.proxied_cookie_bytes - 2)
    assert sent(f"Cookie: {full}")["cookie"] == [full]
    assert "cookie" not in sent(f"Cookie: {full}y")


def test_a_websockets_handshake_passes_whole() -> None:
    key, protocol = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: v1.kernel"
    found = sent(
        key, protocol, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Extensions: permessage-deflate", socket=True
    )
    assert found["connection"] == ["Upgrade"]
    assert found["upgrade"] == ["websocket"]
    assert found["sec-websocket-key"] == ["dGhlIHNhbXBsZSBub25jZQ=="]
    assert found["sec-websocket-protocol"] == ["v1.kernel"]
    assert found["sec-websocket-extensions"] == ["permessage-deflate"]


def answered(*lines: str, status: str = "200 OK", keep: bool = True) -> bytes:
    raw = "\r\n".join([f"HTTP/1.1 {status}", *lines]).encode() + b"\r\n\r\n"
    return answer_head(parse_answer(raw), length=3, chunked=False, keep=keep)


@pytest.mark.parametrize(
    "line",
    [
        "Set-Cookie: a=1; Domain=zone", "Set-Cookie: a=1; Path=/; domain =.zone", "Set-Cookie: __Host-parasol-ws=mine; Secure",
        "set-cookie:  __Host-parasol-gateway=x", "Connection: X-Mine\r\nX-Mine: x", "Keep-Alive: timeout=5", "Upgrade: h2c",
        "Alt-Svc: h2=\":1\"", "X-Accel-Redirect: /etc", "X-Sendfile: /etc", "Clear-Site-Data: \"cookies\"", "Origin-Agent-Cluster: ?0", "Trailer: x",
        "Proxy-Authenticate: Basic",
    ],
)  # fmt: skip
def test_a_workspace_says_nothing_beyond_its_origin(line: str) -> None:
    assert answered(line) == answered()


def test_a_workspaces_own_answer_passes() -> None:
    told = answered(
        "Set-Cookie: a=1; Path=/", "Content-Type: text/html", "Set-Cookie: b=domain", status="404 Nope"
    )
    assert told == (
        b"HTTP/1.1 404 Not Found\r\nset-cookie: a=1; Path=/\r\ncontent-type: text/html\r\nset-cookie: b=domain\r\n"
        b"content-length: 3\r\norigin-agent-cluster: ?1\r\n\r\n"
    )
    assert b"connection: close\r\n" in answered(keep=False)
    unknown = AnswerHead(599, [], frozenset(), None, False, True)
    assert answer_head(unknown, length=None, chunked=True, keep=True).startswith(b"HTTP/1.1 599 \r\n")


def test_our_own_answer_to_a_head_has_no_body() -> None:
    head = parse_request(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert own_answer(404, [(b"content-length", b"9")], b"gone", head=head, keep=True) == (
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\n"
    )


@given(st.lists(st.text("abcdefghij=; _-", max_size=20), max_size=6))
def test_whatever_cookies_a_browser_has_none_of_ours_passes(parts: list[str]) -> None:
    mixed = [part for p in parts for part in (p, "__Host-parasol-ws=secret")]
    head = browser("Cookie: " + ";".join(mixed).strip()) if mixed else browser()
    assert b"secret" not in request_head(head, (), "http")
