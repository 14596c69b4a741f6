"""Sign-in through a whole centre: what works, and what leaves nothing behind."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from central_portal.identity.logic import safe_return
from tests.integration.openid import Op, by_another_key, unsigned
from tests.integration.tab import SESSION, Tab, failed
from tests.integration.whole_centre import Centre


def test_a_person_signs_in_and_comes_back_to_the_page(op: Op, tab: Tab, centre: Centre) -> None:
    start = tab.get("/signin/op?return=/search%3Fq%3Dx", site="none")
    assert start.location.startswith(f"{op.issuer}/authorize?")
    assert start.query["redirect_uri"] == f"{tab.origin}/signin/callback/op"
    back = urlsplit(op.answer(start.location))
    done = tab.get(f"{back.path}?{back.query}", site="cross-site")
    assert (done.status, done.location) == (303, "/search?q=x")
    (cookie,) = [line for line in done.headers.get_all("set-cookie") or () if line.startswith(SESSION + "=")]
    for attribute in ("HttpOnly", "Secure", "SameSite=Lax", "Path=/"):
        assert attribute in cookie
    assert "Domain" not in cookie
    assert tab.me() == op.person[0].title()
    assert centre.tab().me() is None


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x"])
def test_nobody_is_sent_elsewhere_after_signing_in(op: Op, tab: Tab, back: str) -> None:
    assert tab.sign_in(op, back).location == safe_return(back) == "/"


@pytest.mark.parametrize(
    "lie",
    [
        {"sign": unsigned},
        {"sign": by_another_key},
        {"change": lambda claims: claims.update(aud="other", azp="portal")},
        {"change": lambda claims: claims.update(iss="https://evil.example")},
        {"change": lambda claims: claims.update(nonce=None)},
        {"change": lambda claims: claims.update(exp=int(time.time()) - 60)},
        {"token": lambda answer: answer.pop("id_token")},
    ],
    ids=["alg-none", "other-key", "azp", "iss", "nonce", "expired", "no-id-token"],
)
def test_a_lying_provider_signs_nobody_in(op: Op, tab: Tab, centre: Centre, lie: dict[str, Any]) -> None:
    before = centre.state()
    for name, value in lie.items():
        setattr(op, name, value)
    failed(tab.sign_in(op), "PROVIDER_REFUSED")
    assert centre.state() == before
    assert tab.me() is None


def test_an_answer_for_another_browser_is_refused(op: Op, tab: Tab, centre: Centre) -> None:
    before = centre.state()
    start = tab.get("/signin/op")
    back = urlsplit(op.answer(start.location))
    victim = centre.tab()
    failed(victim.get(f"{back.path}?{back.query}", site="cross-site"), "NO_SUCH_ATTEMPT")
    victim.get("/signin/op")
    failed(victim.get(f"{back.path}?{back.query}", site="cross-site"), "NO_SUCH_ATTEMPT")
    assert centre.state() == before
    assert len(op.visits) == 1, "the code was not even sent to the provider"


def test_a_replayed_answer_is_refused(op: Op, tab: Tab, centre: Centre) -> None:
    start = tab.get("/signin/op")
    back = urlsplit(op.answer(start.location))
    tab.get(f"{back.path}?{back.query}", site="cross-site")
    before = centre.state()
    failed(tab.get(f"{back.path}?{back.query}", site="cross-site"), "PROVIDER_REFUSED")
    assert centre.state() == before


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://evil.example"}, "PROVIDER_REFUSED"),
        ({"iss": ""}, "PROVIDER_REFUSED"),
        ({"state": "a.b.c"}, "NO_SUCH_ATTEMPT"),
        ({"state": ""}, "NO_SUCH_ATTEMPT"),
        ({"code": "", "error": "access_denied"}, "ACCESS_DENIED"),
        ({"code": "", "error": "server_error"}, "PROVIDER_REFUSED"),
        ({"code": ""}, "PROVIDER_REFUSED"),
    ],
    ids=str,
)
def test_a_bent_answer_is_refused(op: Op, tab: Tab, centre: Centre, changes: dict[str, str], reason: str) -> None:
    before = centre.state()
    failed(tab.sign_in(op, **changes), reason)
    assert centre.state() == before


def test_an_unknown_provider_is_said(tab: Tab) -> None:
    failed(tab.get("/signin/nobody"), "UNKNOWN_PROVIDER")
    failed(tab.get("/signin/callback/nobody?state=x&code=y"), "NO_SUCH_ATTEMPT")


def test_many_tabs_sign_in_at_once(op: Op, tab: Tab) -> None:
    starts = [tab.get(f"/signin/op?return=/{number}") for number in range(3)]
    assert len({start.query["nonce"] for start in starts}) == 3
    for number, start in enumerate(starts):
        back = urlsplit(op.answer(start.location))
        assert tab.get(f"{back.path}?{back.query}", site="cross-site").location == f"/{number}"
