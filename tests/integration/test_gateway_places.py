"""The gateway's page on which people enter where data lie, and who is kept from it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from html import escape
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.integration.gateway_browser import Visitor
from tests.integration.whole_facility import WholeFacility

pytestmark = pytest.mark.needs("ordinary-user")
GATEWAY = "__Host-parasol-gateway"


@pytest.fixture(autouse=True)
def nothing_entered(gate: WholeFacility) -> Iterator[None]:
    yield
    for uid in ("20001", "20002"):
        gate.run(gate.agent._store.transact(lambda tx, uid=uid: tx.drop_entered(uid)))  # type: ignore[misc]


@pytest.fixture
def folder(gate: WholeFacility) -> Path:
    made = gate.restored / "run <1> & more"
    made.mkdir(mode=0o755, exist_ok=True)
    return made


def page_of(gate: WholeFacility, pid: str = "") -> str:
    return f"http://{gate.host}/places" + (f"?dataset={quote(pid)}" if pid else "")


def shown(visitor: Visitor, pid: str = "") -> str:
    """The page, by way of the sign-in."""
    there = visitor.signed_in(page_of(visitor.site, pid))
    while there:
        gateway = f"http://{visitor.site.host}"
        status, there, body = visitor.get(gateway + there.removeprefix(gateway), "same-origin")
    assert status == 200, body
    return body


def token_in(body: str) -> str:
    found = re.search(r'name="token" value="([^"]{43})"', body)
    assert found is not None
    return found[1]


def form(body: str, pid: str, path: object = "", act: str = "enter") -> dict[str, str]:
    return {"token": token_in(body), "dataset": pid, "path": str(path), "act": act, "shown": pid}


def kept(gate: WholeFacility) -> list[tuple[str, str, str]]:
    with sqlite3.connect(gate.folder / "state" / "agent.sqlite3") as db:
        return list(db.execute("select immutable_id, pid, folder from entered_place order by immutable_id"))


def test_a_place_is_entered_shown_and_taken_back(gate: WholeFacility, folder: Path) -> None:
    pid, ada = gate.dataset_of("ada"), Visitor(gate)
    body = shown(ada, pid)
    assert escape("<b>The data of ada</b>") in body
    assert "<b>" not in body
    assert str(gate.restored) in body
    assert kept(gate) == []
    status, there, _ = ada.post(page_of(gate), form(body, pid, folder))
    assert (status, there) == (303, f"/places?dataset={pid}")
    assert kept(gate) == [("20001", pid, str(folder))]
    body = shown(ada, pid)
    assert f"<code>{escape(str(folder))}</code>" in body
    assert "run <1>" not in body
    assert "cannot be used now" not in body
    everything = shown(ada)
    assert escape(str(folder)) in everything
    status, there, _ = ada.post(page_of(gate), form(everything, pid, act="forget") | {"shown": ""})
    assert (status, there) == (303, "/places")
    assert kept(gate) == []
    assert "You have entered no place." in shown(ada)
    log = b"".join(path.read_bytes() for path in (gate.folder / "state" / "egress").iterdir())
    assert b"places.enter" in log
    said = log + (gate.folder / "gateway.log").read_bytes()
    assert folder.name.encode() not in said
    assert str(gate.restored).encode() not in said


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/etc", "NOT_FOUND"), ("{root}", "NOT_FOUND"), ("{root}/none", "NOT_FOUND"), ("{root}/out", "NOT_FOUND"), ("{root}/private", "NOT_FOUND"),
        ("{root}/../restored/x", "INVALID_REQUEST"), ("{root}/a\nb", "INVALID_REQUEST"), ("{root}/" + "x" * 10_240, "INVALID_REQUEST"),
        ("<script>alert(1)</script>", "INVALID_REQUEST"), ('/"><img src=x onerror=alert(1)>', "NOT_FOUND"), ("", "INVALID_REQUEST"),
    ],
    ids=range(11),
)  # fmt: skip
def test_what_is_not_allowed_is_said_on_the_page_and_not_kept(gate: WholeFacility, path: str, reason: str) -> None:
    if not (gate.restored / "out").is_symlink():
        (gate.restored / "out").symlink_to("/etc")
        (gate.restored / "private").mkdir(mode=0o700)
    pid, ada = gate.dataset_of("ada"), Visitor(gate)
    typed = path.replace("{root}", str(gate.restored))
    status, _, body = ada.post(page_of(gate), form(shown(ada, pid), pid, typed))
    assert (status, reason in body) == (400, True), body
    assert "<script" not in body
    assert "<img" not in body
    assert 'role="alert"' in body
    assert len(body) < 6_000
    assert kept(gate) == []


def test_nobody_is_shown_anything_without_signing_in(gate: WholeFacility) -> None:
    visitor = Visitor(gate)
    status, there, body = visitor.get(page_of(gate, gate.dataset_of("ada")))
    assert status == 302
    assert there.startswith(gate.op.issuer)
    assert "prompt=none" in there
    assert "The data of" not in body


def test_the_sign_in_service_is_asked_at_each_look(gate: WholeFacility) -> None:
    pid, ada = gate.dataset_of("ada"), Visitor(gate)
    shown(ada, pid)
    status, there, _ = ada.get(page_of(gate, pid))
    assert (status, there.startswith(gate.op.issuer)) == (302, True)


def test_no_other_page_and_no_script_of_it_enters_anything(gate: WholeFacility, folder: Path) -> None:
    pid, ada = gate.dataset_of("ada"), Visitor(gate)
    sent = form(shown(ada, pid), pid, folder)
    for headers in (
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": f"http://x.{gate.zone}"}, {"Origin": ""},
        {"Origin": "http://portal.localhost:9"}, {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"},
    ):  # fmt: skip
        status, _, body = ada.post(page_of(gate), sent, **headers)
        assert (status, "FOREIGN_ORIGIN" in body) == (403, True), headers
    assert kept(gate) == []


def test_a_form_is_good_for_its_own_session_only(gate: WholeFacility, folder: Path) -> None:
    pid, ada, ben, nobody = gate.dataset_of("ada"), Visitor(gate), Visitor(gate, "ben"), Visitor(gate)
    hers, his = form(shown(ada, pid), pid, folder), form(shown(ben, gate.dataset_of("ben")), pid, folder)
    tries = [
        (nobody, hers), (nobody, hers | {"token": ""}), (ada, his), (ben, hers), (ada, hers | {"token": ""}),
        (ada, hers | {"token": "é"}), (ada, {k: v for k, v in hers.items() if k != "token"}), (ada, hers | {"act": "other"}),
        (ada, hers | {"dataset": ""}), (ada, hers | {"dataset": "x" * 513}),
    ]  # fmt: skip
    for visitor, sent in tries:
        status, _, body = visitor.post(page_of(gate), sent)
        assert (status, "STALE_PAGE" in body) == (400, True)
    gate.run(gate.door.signed_out(gate.op.issuer, "ada", "sid-ada"))
    status, _, body = ada.post(page_of(gate), hers)
    assert (status, "STALE_PAGE" in body) == (400, True)
    assert kept(gate) == []
    with sqlite3.connect(gate.folder / "state" / "agent.sqlite3", timeout=5) as db:
        db.execute("delete from ended_sid")  # the next sign-in is another


def test_another_persons_dataset_and_place_are_nobody_elses(gate: WholeFacility, folder: Path) -> None:
    pid, ada, ben = gate.dataset_of("ada"), Visitor(gate), Visitor(gate, "ben")
    ada.post(page_of(gate), form(shown(ada, pid), pid, folder))
    before = kept(gate)
    assert len(before) == 1
    his = shown(ben, gate.dataset_of("ben"))
    assert escape(folder.name) not in his
    status, _, body = ben.post(page_of(gate), form(his, pid, folder))
    assert (status, "NOT_FOUND" in body, "The data of" in body) == (404, True, False)
    status, _, body = ben.post(page_of(gate), form(his, pid, act="forget") | {"shown": ""})
    assert status == 303
    assert kept(gate) == before
    there = ben.signed_in(page_of(gate, pid))
    status, _, body = ben.get(f"http://{gate.host}{there}", "same-origin")
    assert (status, "NOT_FOUND" in body, "The data of" in body) == (404, True, False)


def test_who_is_not_linked_is_sent_to_the_portal(gate: WholeFacility) -> None:
    stranger = Visitor(gate, "zoe")
    there = stranger.signed_in(page_of(gate))
    status, _, body = stranger.get(f"http://{gate.host}{there}", "same-origin")
    assert (status, "ACCOUNT_NOT_LINKED" in body) == (403, True)


def test_the_page_is_framed_by_nobody_and_runs_nothing(gate: WholeFacility) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=10)
    connection.request("GET", "/places", headers={"Host": gate.host})
    policy = connection.getresponse().headers["content-security-policy"]
    connection.close()
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'none'" in policy
