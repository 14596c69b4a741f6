"""Renewal, sign-out and the provider's back channel through a whole centre."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
import pytest
from websockets.exceptions import ConnectionClosed

from shared.wire.proof import token
from tests.integration.openid import Op
from tests.integration.tab import SESSION, Seen, Tab, failed, granted, open_socket
from tests.integration.whole_centre import Centre, Facility
from tests.waiting import until


def test_renewal_keeps_the_grants_and_closes_sockets(op: Op, tab: Tab, centre: Centre, facility: Facility) -> None:
    granted(op, tab, facility)
    old = Tab(tab.port, dict(tab.cookies))
    with open_socket(tab) as stream:
        stream.send('{"type": "connection_init"}')
        assert orjson.loads(stream.recv(10))["type"] == "connection_ack"
        assert tab.post("/session/renew").status == 200
        with pytest.raises(ConnectionClosed) as closed:
            stream.recv(10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4401
    assert tab.cookies[SESSION] != old.cookies[SESSION]
    assert tab.found() == old.found() == {"o-1", "p-1"}, "the old cookie serves requests under way"
    again = old.post("/session/renew")
    assert (again.status, orjson.loads(again.body)["reason"]) == (409, "CONFLICT")
    assert centre.tab().post("/session/renew").status == 409


def test_signing_out_ends_session_and_grants_and_goes_on_to_the_provider(
    op: Op, tab: Tab, centre: Centre, facility: Facility
) -> None:
    granted(op, tab, facility)
    copy = Tab(tab.port, dict(tab.cookies))
    done = tab.post("/signout")
    assert done.status == 303
    assert done.location.startswith(f"{op.issuer}/end?")
    assert done.query["post_logout_redirect_uri"] == f"{tab.origin}/signout/done"
    assert done.query["id_token_hint"].count(".") == 2
    assert SESSION not in tab.cookies
    assert copy.me() is None
    until(lambda: facility.living_grants() == 0, "the agent has given up the grants", 5)
    assert tab.get("/signout/done", site="cross-site").status in (200, 503), "the provider's redirect arrives"
    failed(copy.sign_in(op), "SIGNED_OUT_MEANWHILE")


def test_signing_out_does_not_wait_for_an_agent_that_is_gone(op: Op, tab: Tab, facility: Facility) -> None:
    granted(op, tab, facility)
    facility.disconnect()
    try:
        begun = time.monotonic()
        assert tab.post("/signout").status == 303
        assert time.monotonic() - begun < 2
        assert tab.me() is None
    finally:
        facility.connect()


@pytest.mark.parametrize("origin", ["null", "http://evil.localhost:9", ""])
def test_no_other_site_signs_anybody_out_or_renews(op: Op, tab: Tab, centre: Centre, origin: str) -> None:
    tab.sign_in(op)
    before = centre.state()
    for path in ("/signout", "/session/renew"):
        refusal = tab.post(path, Origin=origin)
        assert (refusal.status, orjson.loads(refusal.body)["reason"]) == (403, "FOREIGN_ORIGIN")
    assert tab.get("/signout").status in (200, 503), "a GET is a page and signs nobody out"
    assert centre.state() == before
    assert tab.me() is not None


def test_without_a_session_signing_out_ends_on_the_page_that_says_so(tab: Tab) -> None:
    assert tab.post("/signout").location == f"{tab.origin}/signout/done"


def backchannel(tab: Tab, raw: str, provider: str = "op") -> Seen:
    body = urlencode({"logout_token": raw})
    return Tab(tab.port).ask(
        "POST",
        f"/backchannel/{provider}",
        body,
        Content_Type="application/x-www-form-urlencoded",
        Sec_Fetch_Site="",
    )


def test_the_provider_ends_a_session_with_its_sockets(op: Op, tab: Tab, centre: Centre) -> None:
    tab.sign_in(op)
    under_way = tab.get("/signin/op")
    with open_socket(tab) as stream:
        raw = op.logout_token()
        assert backchannel(tab, raw).status == 200
        with pytest.raises(ConnectionClosed) as closed:
            stream.recv(5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4401
    assert tab.me() is None
    back = urlsplit(op.answer(under_way.location))
    failed(tab.get(f"{back.path}?{back.query}", site="cross-site"), "SIGNED_OUT_MEANWHILE")
    op.person = (op.person[0], f"sid-{token()}")
    tab.sign_in(op)
    assert backchannel(tab, raw).status == 400, "a replay"
    assert tab.me() is not None


@pytest.mark.parametrize(
    "changes",
    [{"aud": "x"}, {"iss": "https://evil.example"}, {"nonce": "n"}, {"events": {}}, {"sid": None, "sub": None}],
    ids=str,
)
def test_a_bad_logout_token_ends_nothing(op: Op, tab: Tab, centre: Centre, changes: dict[str, Any]) -> None:
    tab.sign_in(op)
    before = centre.state()
    assert backchannel(tab, op.logout_token(**changes)).status == 400
    assert backchannel(tab, "garbage").status == 400
    assert backchannel(tab, op.logout_token(), "nobody").status in (400, 404)
    assert centre.state() == before
    assert tab.me() is not None
