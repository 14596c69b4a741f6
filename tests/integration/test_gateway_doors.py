"""Into a workspace by a one-time code, and out of it when the person signs out, unlinks or stops it."""

from __future__ import annotations

import sqlite3
import time

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.integration.gateway_browser import Visitor, head, open_socket, raw_connection, until_closed, until_seen
from tests.integration.whole_facility import PASS, WholeFacility
from tests.waiting import until

pytestmark = pytest.mark.needs("ordinary-user")


def passes(gate: WholeFacility, workspace_id: str) -> int:
    with sqlite3.connect(gate.folder / "state" / "agent.sqlite3") as db:
        (count,) = db.execute("select count(*) from pass where workspace_id=?", (workspace_id,)).fetchone()
    return int(count)


def test_a_person_comes_in_and_lands_where_they_wanted(gate: WholeFacility) -> None:
    workspace = gate.launch()
    ada = Visitor(gate)
    status, there, _ = ada.get(ada.code(workspace, "/echo?x=1"))
    assert (status, there) == (303, "/echo?x=1")
    cookies = ada.jar[gate.host_of(workspace)]
    assert list(cookies) == [PASS]
    status, _, body = ada.get(f"http://{gate.host_of(workspace)}{there}")
    assert status == 200
    assert cookies[PASS] not in body


def test_a_code_opens_once(gate: WholeFacility) -> None:
    workspace = gate.launch()
    ada = Visitor(gate)
    address = ada.code(workspace)
    before = dict(ada.jar[gate.host_of(workspace)])
    assert ada.get(address)[0] == 303
    ada.jar[gate.host_of(workspace)] = before
    status, _, body = ada.get(address)
    assert status == 403
    assert "CODE_NOT_VALID" in body
    assert passes(gate, workspace) == 1


def test_a_code_opens_nothing_in_another_browser_and_is_gone_then(gate: WholeFacility) -> None:
    workspace = gate.launch()
    ada, thief = Visitor(gate), Visitor(gate, "ben")
    address = ada.code(workspace)
    thief.knock(workspace)
    for visitor in (thief, ada):
        status, _, body = visitor.get(address)
        assert status == 403
        assert "CODE_NOT_VALID" in body
    assert passes(gate, workspace) == 0


def test_a_code_opens_no_other_workspace(gate: WholeFacility) -> None:
    mine, other = gate.launch(), gate.launch()
    ada = Visitor(gate)
    address = ada.code(mine)
    ada.jar[gate.host_of(other)] = dict(ada.jar[gate.host_of(mine)])
    status, _, body = ada.get(address.replace(mine, other))
    assert status == 403
    assert "CODE_NOT_VALID" in body
    assert passes(gate, mine) + passes(gate, other) == 0


def test_a_code_is_good_at_another_gateway_and_after_a_restart(gate: WholeFacility) -> None:
    workspace = gate.launch()
    ada = Visitor(gate)
    address = ada.code(workspace)
    gate.stop_gateway()
    gate.start_gateway()
    assert ada.get(address)[0] == 303
    until(lambda: len(gate.agent._revoked._queues) == 1, "the agent has forgotten the gateway that left", 5)


def test_a_code_and_a_cookie_are_stored_as_hashes_only(gate: WholeFacility) -> None:
    workspace = gate.launch()
    ada = Visitor(gate)
    address = ada.code(workspace)
    code = address.partition("code=")[2].partition("&")[0]
    assert code not in _everything(gate)
    ada.get(address)
    assert ada.jar[gate.host_of(workspace)][PASS] not in _everything(gate)


def _everything(gate: WholeFacility) -> str:
    with sqlite3.connect(gate.folder / "state" / "agent.sqlite3") as db:
        tables = [row[0] for row in db.execute("select name from sqlite_master where type='table'")]
        assert "door_code" in tables
        return repr([db.execute(f"select * from {table}").fetchall() for table in tables])


def test_another_person_is_refused_and_gets_no_code(gate: WholeFacility) -> None:
    workspace = gate.launch()
    ben = Visitor(gate, "ben")
    gateway = f"http://{gate.host}"
    there = ben.signed_in(ben.knock(workspace))
    status, location, body = ben.get(gateway + there.removeprefix(gateway), "same-origin")
    assert (status, location) == (403, "")
    assert "This workspace is not yours" in body
    assert "<style" not in body, "the gateway's own pages have a style sheet; its policy forbids any other style"
    with sqlite3.connect(gate.folder / "state" / "agent.sqlite3") as db:
        assert db.execute("select * from door_code where workspace_id=?", (workspace,)).fetchall() == []


def test_a_code_dies_with_its_sign_in(gate: WholeFacility) -> None:
    workspace = gate.launch("ben")
    ben = Visitor(gate, "ben")
    address = ben.code(workspace)
    sign_out(gate, "ben")
    status, _, body = ben.get(address)
    assert status == 403
    assert "CODE_NOT_VALID" in body
    assert passes(gate, workspace) == 0
    fresh_sid(gate)


# --- cut


def sign_out(gate: WholeFacility, name: str) -> None:
    gate.run(gate.door.signed_out(gate.op.issuer, name, f"sid-{name}"))


def fresh_sid(gate: WholeFacility) -> None:
    """The sid that ended is remembered for ten minutes; the next sign-in is another."""
    with sqlite3.connect(gate.folder / "state" / "agent.sqlite3", timeout=5) as db:
        db.execute("delete from ended_sid")


def closed_with(ws: ClientConnection) -> int | None:
    try:
        while True:
            ws.recv(5)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


@pytest.mark.parametrize("how", ["signed out", "unlinked", "stopped"])
def test_sockets_and_streams_are_cut_within_five_seconds(gate: WholeFacility, how: str) -> None:
    workspace, other = gate.launch(), gate.launch("ben")
    cookie, others = gate.admit(workspace), gate.admit(other, "ben")
    with (
        open_socket(gate, workspace, cookie) as ws,
        open_socket(gate, other, others) as bystander,
        raw_connection(gate) as stream,
    ):
        ws.send("hello")
        assert ws.recv(5) == "hello"
        stream.sendall(head(gate, workspace, cookie, first="GET /events HTTP/1.1"))
        until_seen(stream, b"first")
        begun = time.monotonic()
        {"signed out": lambda: sign_out(gate, "ada"), "unlinked": lambda: gate.unlink("ada"),
         "stopped": lambda: gate.end(workspace)}[how]()  # fmt: skip
        assert closed_with(ws) in ((4401,) if how != "stopped" else (4401, 1012, 1001))
        until_closed(stream)
        assert time.monotonic() - begun < 5
        assert gate.ask(workspace, "/echo", cookie)[0] == (409 if how == "stopped" else 401)
        bystander.send("still")
        assert bystander.recv(5) == "still"
    if how == "unlinked":
        gate.link("ada")
    fresh_sid(gate)


GRANTED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
ASKED = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: x")


@pytest.mark.parametrize(
    ("sent", "then"), [(b"\x82\x02hi", b"\x88\x02\x11\x31"), (b"\x82\x7e\x03\xe8" + b"half of a frame", b"")]
)
def test_a_close_frame_comes_between_two_frames_or_not_at_all(
    gate: WholeFacility, sent: bytes, then: bytes
) -> None:
    workspace = gate.launch(program="raw")
    cookie = gate.admit(workspace)
    with raw_connection(gate) as socket:
        first = f"GET /raw/{(GRANTED + sent).hex()} HTTP/1.1"
        socket.sendall(head(gate, workspace, cookie, *ASKED, first=first))
        until_seen(socket, sent)
        begun = time.monotonic()
        sign_out(gate, "ada")
        assert until_closed(socket) == then
        assert time.monotonic() - begun < 5
    fresh_sid(gate)
