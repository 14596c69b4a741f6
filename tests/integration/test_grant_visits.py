"""Grants fetched at a gateway by a whole centre: each visit ends on the portal's page, with an outcome."""

from __future__ import annotations

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shared.wire.proof import public_half, token
from tests.integration.openid import Op
from tests.integration.tab import ATTEMPT, SESSION, Tab, failed, visit
from tests.integration.whole_centre import Centre, Facility


def test_a_grant_is_fetched_and_used(op: Op, tab: Tab, facility: Facility) -> None:
    tab.sign_in(op)
    assert tab.found() == {"o-1"}
    start = visit(tab)
    assert start.location.startswith(f"{facility.gateway}/authorize?")
    asked = start.query
    assert asked["client_id"] == tab.origin
    assert asked["redirect_uri"] == f"{tab.origin}/connect/callback"
    assert (asked["response_type"], asked["code_challenge_method"], asked["scope"]) == ("code", "S256", "read run")
    done = tab.get(facility.consent(start.location), site="cross-site")
    assert (done.status, done.location) == (303, "/search?connect=alpha&outcome=OK")
    assert tab.found() == {"o-1", "p-1"}
    (alpha,) = tab.graphql("{facilities{nodes{accountLink{state}}}}")["facilities"]["nodes"]
    assert alpha["accountLink"]["state"] == "LINKED"


def test_nothing_secret_reaches_disk_or_log(op: Op, tab: Tab, centre: Centre, facility: Facility) -> None:
    tab.sign_in(op)
    start = visit(tab)
    callback = facility.consent(start.location)
    tab.get(callback, site="cross-site")
    code = dict(part.split("=", 1) for part in callback.partition("?")[2].split("&"))["code"]
    disk = b"".join(path.read_bytes() for path in (centre.folder / "data").iterdir()) + centre.log.read_bytes()
    for secret in (tab.cookies[SESSION], tab.cookies[ATTEMPT], code, start.query["state"], op.client_secret):
        assert secret.encode() not in disk


def test_a_visit_needs_a_session_and_an_own_page(op: Op, tab: Tab, centre: Centre) -> None:
    attempts = centre.count("connectattempt")
    assert visit(tab).location == "/search?connect=alpha&outcome=SIGN_IN_NEEDED"
    tab.sign_in(op)
    for site in ("cross-site", "same-site"):
        refusal = tab.get("/connect/alpha/start?return=/search", site=site)
        assert (refusal.status, orjson.loads(refusal.body)["reason"]) == (403, "FOREIGN_ORIGIN")
    assert tab.get("/connect/nowhere/start?return=/x").location == "/x?connect=nowhere&outcome=FAILED"
    assert centre.count("connectattempt") == attempts


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"iss": "http://beta.localhost:9"}, "FAILED"),
        ({"iss": ""}, "FAILED"),
        ({"code": "", "error": "access_denied"}, "DENIED"),
        ({"code": "", "error": "login_required"}, "SIGN_IN_NEEDED"),
        ({"code": "", "error": "account_not_linked"}, "NOT_LINKED"),
        ({"code": "", "error": "invented"}, "FAILED"),
        ({"code": ""}, "FAILED"),
        ({"code": "another-code"}, "SIGN_IN_NEEDED"),
        ({"key": ""}, "FAILED"),
        ({"key": "not a key"}, "FAILED"),
        ({"key": "A" * 43}, "FAILED"),
    ],
    ids=str,
)
def test_a_bent_answer_of_a_gateway_is_an_outcome_and_no_grant(
    op: Op, tab: Tab, centre: Centre, facility: Facility, changes: dict[str, str], outcome: str
) -> None:
    tab.sign_in(op)
    before = centre.state()
    done = tab.get(facility.consent(visit(tab).location, **changes), site="cross-site")
    assert (done.status, done.location) == (303, f"/search?connect=alpha&outcome={outcome}")
    assert centre.state() == before
    assert tab.found() == {"o-1"}


def test_who_swaps_the_gateways_key_gets_a_grant_that_opens_nothing(
    op: Op, tab: Tab, centre: Centre, facility: Facility
) -> None:
    tab.sign_in(op)
    before = centre.count("sealedgrant")
    mallory = public_half(X25519PrivateKey.generate())
    tab.get(facility.consent(visit(tab).location, key=mallory), site="cross-site")
    assert centre.count("sealedgrant") == before + 1
    assert tab.found() == {"o-1"}, "the agent refuses the proof"
    assert centre.count("sealedgrant") == before, "and the portal has forgotten the grant"


def test_a_code_is_for_one_session_and_one_time(op: Op, tab: Tab, centre: Centre, facility: Facility) -> None:
    tab.sign_in(op)
    callback = facility.consent(visit(tab).location)
    op.person = ("eve", f"sid-{token()}")
    thief = centre.tab()
    failed(thief.get(callback, site="cross-site"), "NO_SUCH_ATTEMPT")
    thief.sign_in(op)
    failed(thief.get(callback, site="cross-site"), "NO_SUCH_ATTEMPT")
    before = centre.state()
    assert tab.get(callback, site="cross-site").location.endswith("outcome=OK"), "the theft has spoilt nothing"
    assert centre.count("sealedgrant") == before["sealedgrant"] + 1
    failed(tab.get(callback, site="cross-site"), "NO_SUCH_ATTEMPT")
    assert centre.count("sealedgrant") == before["sealedgrant"] + 1
    assert thief.found() == {"o-1"}


def test_an_offline_facility_is_an_outcome(op: Op, tab: Tab, centre: Centre, facility: Facility) -> None:
    tab.sign_in(op)
    callback = facility.consent(visit(tab).location)
    before = centre.state()
    facility.disconnect()
    try:
        assert tab.get(callback, site="cross-site").location == "/search?connect=alpha&outcome=OFFLINE"
        assert centre.state() == before
    finally:
        facility.connect()
