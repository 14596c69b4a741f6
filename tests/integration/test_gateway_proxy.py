"""The gateway in front of real workspaces: what passes, what does not, and what the workspace sees of it."""

from __future__ import annotations

import json
import signal

import psutil
import pytest
from websockets.exceptions import InvalidStatus

from facility_agent.gateway.pages import HERE
from tests.integration.gateway_browser import head, open_socket, raw_connection, until_closed, until_seen
from tests.integration.whole_facility import WholeFacility
from tests.waiting import until

pytestmark = pytest.mark.needs("ordinary-user")


@pytest.fixture(scope="module")
def app(gate: WholeFacility) -> tuple[str, str]:
    """A running workspace of Ada's, and her cookie for it."""
    workspace = gate.launch()
    return workspace, gate.admit(workspace)


def test_a_request_and_its_answer_pass(gate: WholeFacility, app: tuple[str, str]) -> None:
    status, headers, body = gate.ask(
        *app[:1], "/echo?a=%2F", app[1], "PUT", b"x" * 300_000, Authorization="stolen"
    )
    told = json.loads(body)
    assert (status, told["method"], told["query"], told["body"]) == (200, "PUT", "a=%2F", 300_000)
    sent = dict(told["headers"])
    assert sent["authorization"].startswith("token ")
    assert sent["host"] == gate.host_of(app[0])
    assert "cookie" not in sent
    assert headers["origin-agent-cluster"] == "?1"


def test_a_chunked_upload_passes(gate: WholeFacility, app: tuple[str, str]) -> None:
    body = (b"abc" * 1000 for _ in range(50))
    status, headers, answer = gate.ask(app[0], "/echo", app[1], "POST", body)
    assert (status, json.loads(answer)["body"]) == (200, 150_000)
    assert headers["connection"] == "close"


def test_a_large_answer_waits_for_its_reader(gate: WholeFacility, app: tuple[str, str]) -> None:
    count, process = 300_000_000, psutil.Process(gate.gateway_pid)
    before = process.memory_info().rss
    with raw_connection(gate) as connection:
        connection.sendall(head(gate, *app, "Connection: close", first=f"GET /bytes/{count} HTTP/1.1"))
        seen = connection.recv(1000)
        until(lambda: is_still(process), "the gateway waits for the reader", 10)
        assert process.memory_info().rss - before < 20_000_000
        got = len(seen.partition(b"\r\n\r\n")[2])
        while part := connection.recv(1024 * 1024):
            got += len(part)
    assert got == count


def test_a_large_upload_waits_for_its_workspace(gate: WholeFacility, raw: tuple[str, str]) -> None:
    process = psutil.Process(gate.gateway_pid)
    before = process.memory_info().rss
    with raw_connection(gate) as connection:
        connection.sendall(head(gate, *raw, "Content-Length: 300000000", first="POST /never HTTP/1.1"))
        connection.settimeout(1.0)
        with pytest.raises(TimeoutError):
            connection.sendall(bytes(300_000_000))
        assert process.memory_info().rss - before < 20_000_000


def is_still(process: psutil.Process) -> bool:
    """Whether it used no CPU for a fifth of a second."""
    return process.cpu_percent(0.2) == 0


def test_a_connection_is_used_again_and_again(gate: WholeFacility, app: tuple[str, str]) -> None:
    with raw_connection(gate) as connection:
        connection.sendall(head(gate, *app, first="HEAD /echo HTTP/1.1"))
        connection.sendall(head(gate, *app, first="GET /hello HTTP/1.1"))  # pipelined
        connection.sendall(head(gate, *app, "Connection: close", first="GET /hello HTTP/1.1"))
        answer = until_closed(connection)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert answer.count(b"Hello, world.") == 2


def test_an_old_client_gets_an_answer_that_ends_with_its_connection(
    gate: WholeFacility, app: tuple[str, str]
) -> None:
    with raw_connection(gate) as connection:
        connection.sendall(head(gate, *app, first="GET /hello HTTP/1.0"))
        assert until_closed(connection).endswith(b"\r\n\r\nHello, world.")


def test_only_cookies_of_its_own_reach_the_browser(gate: WholeFacility, app: tuple[str, str]) -> None:
    _, headers, _ = gate.ask(app[0], "/cookies", app[1])
    assert headers.get_all("set-cookie") == ["own=1; Path=/"]


def test_a_browser_that_leaves_frees_the_workspace(gate: WholeFacility, app: tuple[str, str]) -> None:
    with raw_connection(gate) as connection:
        connection.sendall(head(gate, *app, first="GET /events HTTP/1.1"))
        until_seen(connection, b"first")
    until(lambda: "left /events" in gate.seen(*app), "the workspace sees that the browser left", 5)


# --- WebSockets


def test_a_websocket_passes_both_ways(gate: WholeFacility, app: tuple[str, str]) -> None:
    with open_socket(gate, *app, subprotocols=["v1.kernel", "other"], max_size=None) as ws:
        assert ws.subprotocol == "v1.kernel"
        for message in ("hello", b"\0" * 5_000_000, "", "ende"):
            ws.send(message)
            assert ws.recv(10) == message
        ws.send("close")
        with pytest.raises(Exception, match="4000"):
            ws.recv(10)


def test_a_websocket_that_the_workspace_refuses_is_refused(gate: WholeFacility, app: tuple[str, str]) -> None:
    with pytest.raises(InvalidStatus) as caught:
        open_socket(gate, *app, path="/refused")
    assert caught.value.response.status_code == 403


def test_a_siblings_page_opens_no_websocket_and_the_workspace_sees_nothing(
    gate: WholeFacility, app: tuple[str, str]
) -> None:
    sibling = gate.host_of(gate.launch())
    before = gate.seen(*app)
    for origin in (f"http://{sibling}", "null", f"http://{gate.host}", None):
        with pytest.raises(InvalidStatus) as caught:
            open_socket(gate, *app, origin=origin)
        assert caught.value.response.status_code == 403
        assert b"FOREIGN_ORIGIN" in (caught.value.response.body or b"")
    assert gate.seen(*app) == before


def test_the_gateways_own_host_has_no_websocket(gate: WholeFacility) -> None:
    for origin, reason in ((f"http://{gate.host}", 404), ("http://evil.example", 403)):
        with raw_connection(gate) as connection:
            connection.sendall(
                f"GET /healthz HTTP/1.1\r\nHost: {gate.host}\r\nOrigin: {origin}\r\nConnection: Upgrade, close\r\n"
                "Upgrade: websocket\r\n\r\n".encode()
            )
            assert until_closed(connection).startswith(f"HTTP/1.1 {reason} ".encode())


# --- who may not


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {"Origin": "http://evil.example"}), ("GET", {"Sec_Fetch_Site": "same-site"}),
        ("GET", {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"}),
        ("DELETE", {"Origin": "null"}),
    ],
)  # fmt: skip
def test_another_sites_page_reaches_no_workspace(
    gate: WholeFacility, app: tuple[str, str], method: str, headers: dict[str, str]
) -> None:
    before = gate.seen(*app)
    status, _, body = gate.ask(app[0], "/echo", app[1], method, **headers)
    assert (status, json.loads(body)["reason"]) == (403, "FOREIGN_ORIGIN")
    assert gate.seen(*app) == before


def test_a_cookie_opens_only_the_workspace_that_it_was_made_for(gate: WholeFacility, app: tuple[str, str]) -> None:
    other = gate.launch("ben")
    for workspace, cookie in (
        (other, app[1]),
        (app[0], gate.admit(other, "ben")),
        (app[0], "planted"),
        (app[0], ""),
    ):
        status, _, body = gate.ask(workspace, "/echo", cookie)
        assert (status, json.loads(body)["reason"]) == (401, "UNAUTHENTICATED")
    assert "GET /echo" not in gate.seen(other, gate.admit(other, "ben"))


def test_an_unknown_host_is_nobodys(gate: WholeFacility) -> None:
    for host in ("evil.example", f"x.{gate.zone}", f"{'0' * 36}.{gate.zone}", ""):
        with raw_connection(gate) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            assert b"UNKNOWN_HOST" in until_closed(connection)


# --- bytes that a server behind could read otherwise


@pytest.fixture(scope="module")
def raw(gate: WholeFacility) -> tuple[str, str]:
    """A workspace whose program answers what it is told to, and notes every byte it gets."""
    workspace = gate.launch(program="raw")
    return workspace, gate.admit(workspace)


SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "lines", "body"),
    [
        ("POST /p HTTP/1.1", ("Content-Length: 5", "Transfer-Encoding: chunked"), "0\r\n\r\n" + SMUGGLED),
        ("POST /p HTTP/1.1", ("Content-Length: 5", "Content-Length: 0"), SMUGGLED),
        ("POST /p HTTP/1.1", ("Transfer-Encoding : chunked",), "0\r\n\r\n" + SMUGGLED),
        ("POST /p HTTP/1.1", ("X: y\r\n Content-Length: 5",), SMUGGLED),
        ("POST /p HTTP/1.1", ("X: y\nContent-Length: 5",), SMUGGLED),
        ("POST /p HTTP/1.1", ("Transfer-Encoding: chunked",), "5\nhello\r\n0\r\n\r\n" + SMUGGLED),
        ("POST /p HTTP/1.1", ("Transfer-Encoding: chunked",), "0x5\r\nhello\r\n0\r\n\r\n" + SMUGGLED),
        ("GET http://x/p HTTP/1.1", (), SMUGGLED), ("CONNECT x:1 HTTP/1.1", (), SMUGGLED),
        ("GET /p HTTP/1.1", ("X: " + "a" * 70_000,), SMUGGLED),
        ("GET /p HTTP/1.1", ("Connection: Upgrade", "Upgrade: websocket", "Content-Length: 5"), SMUGGLED),
    ],
)  # fmt: skip
def test_a_smuggled_request_is_refused_with_the_one_that_carries_it(
    gate: WholeFacility, raw: tuple[str, str], first: str, lines: tuple[str, ...], body: str
) -> None:
    before = seen_bytes(gate, raw[0])
    with raw_connection(gate) as connection:
        connection.sendall(head(gate, *raw, *lines, first=first) + body.encode())
        answer = until_closed(connection)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 405 ", b"HTTP/1.1 431 ")), answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"smuggled" not in seen_bytes(gate, raw[0])[len(before) :]


def test_what_follows_an_upgrade_that_was_not_granted_is_no_request(
    gate: WholeFacility, raw: tuple[str, str]
) -> None:
    with raw_connection(gate) as connection:
        lines = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13")
        connection.sendall(head(gate, *raw, *lines) + SMUGGLED.encode())
        answer = until_closed(connection)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"smuggled" not in seen_bytes(gate, raw[0])


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 1\r\n\r\nhello", b"HTTP/1.1 200 OK\r\nX: a\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"nonsense\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    ],
)  # fmt: skip
def test_an_answer_that_could_be_read_in_two_ways_is_a_workspace_that_does_not_answer(
    gate: WholeFacility, raw: tuple[str, str], answer: bytes
) -> None:
    status, _, body = gate.ask(raw[0], f"/raw/{answer.hex()}", raw[1])
    assert status == 502
    assert b"BACKEND_UNAVAILABLE" in body


def test_bytes_beyond_an_answer_reach_nobody(gate: WholeFacility, raw: tuple[str, str]) -> None:
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    for _ in range(3):
        assert gate.ask(raw[0], f"/raw/{poison.hex()}", raw[1])[2] == b"ok"
        assert gate.ask(raw[0], "/", raw[1])[2] == b"hello"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", b"to the end"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n", b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""), (b"HTTP/1.0 200 OK\r\n\r\nold", b"old"),
    ],
)  # fmt: skip
def test_answers_of_every_framing_pass(
    gate: WholeFacility, raw: tuple[str, str], answer: bytes, body: bytes
) -> None:
    status, _, told = gate.ask(raw[0], f"/raw/{answer.hex()}?close", raw[1])
    assert (status, told) == (int(answer.rpartition(b"HTTP/1.")[2].split()[1]), body)


def test_a_truncated_answer_is_seen_as_one(gate: WholeFacility, raw: tuple[str, str]) -> None:
    for answer in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
    ):
        with raw_connection(gate) as connection:
            connection.sendall(head(gate, *raw, first=f"GET /raw/{answer.hex()}?close HTTP/1.1"))
            seen = until_closed(connection)
        assert b"half" in seen
        assert not seen.endswith(b"0\r\n\r\n")


def seen_bytes(gate: WholeFacility, workspace_id: str) -> bytes:
    return (gate.folder / "w" / workspace_id / "work" / "seen").read_bytes()


# --- ends


def test_a_workspace_that_is_gone_is_told_as_a_page(gate: WholeFacility) -> None:
    workspace = gate.launch()
    cookie = gate.admit(workspace)
    assert gate.ask(workspace, "/", cookie)[0] == 200
    gate.endpoint(workspace).socket.unlink()
    with raw_connection(
        gate
    ) as connection:  # no idle connection of the gateway's helps: each of these needs its own
        connection.sendall(head(gate, workspace, cookie, first="GET /events HTTP/1.1"))
        until_seen(connection, b"first")
        status, _, body = gate.ask(workspace, "/", cookie)
    assert status == 502
    assert b"The workspace does not answer" in body


def test_a_workspaces_websockets_come_back_after_the_gateways_restart(
    gate: WholeFacility, app: tuple[str, str]
) -> None:
    with open_socket(gate, *app) as ws:
        gate.stop_gateway(signal.SIGTERM)
        with pytest.raises(Exception, match="1012"):
            ws.recv(10)
    gate.start_gateway()
    with open_socket(gate, *app) as ws:
        ws.send("again")
        assert ws.recv(10) == "again"


def test_a_form_beyond_its_bound_is_refused(gate: WholeFacility) -> None:
    with raw_connection(gate) as connection:
        lines = (
            "POST /confirm HTTP/1.1",
            f"Host: {gate.host}",
            f"Origin: http://{gate.host}",
            "Content-Length: 300000",
        )
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + bytes(300_000))
        assert until_closed(connection).startswith(b"HTTP/1.1 413 ")


def test_the_probe_and_own_pages_are_served_beside(gate: WholeFacility) -> None:
    with raw_connection(gate) as connection:
        connection.sendall(f"GET /static/gateway.css HTTP/1.1\r\nHost: {gate.host}\r\n\r\n".encode())
        answer = until_closed(connection)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-security-policy: default-src 'none'" in answer
    assert answer.endswith((HERE / "static" / "gateway.css").read_bytes())
