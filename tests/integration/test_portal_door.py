"""The door and the router in front of a whole centre."""

from __future__ import annotations

from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.integration.openid import Op
from tests.integration.tab import Tab, open_socket
from tests.integration.whole_centre import Centre, Facility


def test_the_door_stands_in_front_of_everything(op: Op, tab: Tab, centre: Centre) -> None:
    for path in ("/", "/graphql", "/healthz", "/signin/op"):
        assert tab.get(path, Host="evil.example").status == 421
    tab.sign_in(op)
    for path in ("/session/renew", "/graphql"):
        chunks = iter([b"x" * 40_000, b"x" * 40_000])
        seen = tab.ask("POST", path, chunks, Origin=tab.origin, Content_Type="application/json")
        assert seen.status == 413, path
    assert tab.me() is not None, "nothing was renewed"


@pytest.mark.parametrize("options", [{"origin": None}, {"origin": "null"}, {"origin": "http://evil.localhost:9"}])
def test_a_socket_of_another_page_is_refused(op: Op, tab: Tab, centre: Centre, options: dict[str, Any]) -> None:
    tab.sign_in(op)
    with pytest.raises(InvalidStatus) as told, open_socket(tab, **options):
        pass
    assert told.value.response.status_code == 403


def test_other_sockets_and_methods_lead_nowhere(tab: Tab, centre: Centre) -> None:
    with pytest.raises(InvalidStatus), open_socket(tab, "/elsewhere"):
        pass
    assert tab.post("/search").status == 405
    for path in ("/signin/a/b/c", "/signin/callback", "/connect/a/b/start"):
        seen = tab.get(path)
        assert seen.status in (303, 404), path
        assert b"Traceback" not in seen.body
    assert tab.ask("GET", "/healthz").body == b"ok\n"


def test_every_page_of_sign_in_carries_the_headers_of_the_portal(op: Op, tab: Tab, facility: Facility) -> None:
    for path in ("/signin/op", "/signin/failed?reason=X", "/connect/alpha/start"):
        headers = tab.get(path).headers
        policy = headers["content-security-policy"]
        assert f"form-action 'self' {op.issuer} {facility.gateway};" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["referrer-policy"] == "same-origin"
