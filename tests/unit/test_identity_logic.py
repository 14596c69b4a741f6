"""Pure decisions of sign-in and grants, and the boxes that only a cookie opens."""

from __future__ import annotations

from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from central_portal.identity.logic import (
    expires_ms,
    format_scopes,
    outcome_of_oauth,
    parse_scopes,
    safe_return,
    with_outcome,
)
from central_portal.identity.sealing import grant_label, seal, sealing_key, unseal
from shared.facilities import Outcome
from shared.identity import Scope
from shared.limits import LIMITS
from shared.wire.proof import token

PORTAL = "https://portal.example.org"


@pytest.mark.parametrize("path", ["/", "/search?q=a%20b&from=2020", "/facilities/alpha#software", "/é"])
def test_own_paths_are_kept(path: str) -> None:
    assert safe_return(path) == path


@pytest.mark.parametrize(
    "path",
    [
        None,
        "",
        "search",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\n/evil.example",
        " /search",
        "/a\r\nSet-Cookie: x=1",
        "/" + "a" * 2000,
        "/a\x7f",
    ],
)
def test_everything_else_becomes_the_front_page(path: str | None) -> None:
    assert safe_return(path) == "/"


@given(st.text(max_size=60))
@example("/\\/evil.example")
@example("/.//evil.example")
@example("/..//evil.example")
def test_no_return_path_leaves_the_portal(path: str) -> None:
    for safe in (safe_return(path), with_outcome(path, "alpha", Outcome.OK)):
        assert safe.startswith("/")
        assert not safe.startswith(("//", "/\\"))
        assert urlsplit(urljoin(PORTAL, safe)).netloc == "portal.example.org"


def test_an_outcome_replaces_that_of_an_earlier_visit_and_keeps_the_rest() -> None:
    path = with_outcome("/search?q=x&connect=beta&outcome=OK#top", "alpha", Outcome.DENIED)
    assert parse_qs(urlsplit(path).query) == {"q": ["x"], "connect": ["alpha"], "outcome": ["DENIED"]}
    assert path.startswith("/search?")


def test_oauth_errors_become_outcomes_and_unknown_ones_fail() -> None:
    assert outcome_of_oauth("access_denied") is Outcome.DENIED
    assert outcome_of_oauth("login_required") is Outcome.SIGN_IN_NEEDED
    assert outcome_of_oauth("<script>") is Outcome.FAILED


def test_scopes_are_the_known_words() -> None:
    assert parse_scopes("read root") == {Scope.READ}
    assert parse_scopes("") == parse_scopes("root") == set(Scope)
    assert format_scopes([Scope.RUN, Scope.READ]) == "read run"


@given(st.floats(0, 4e9), st.integers(-(10**12), 10**12), st.floats(0.1, LIMITS.order_life))
def test_a_command_expires_by_the_agents_clock(now: float, offset: int, life: float) -> None:
    ahead = expires_ms(now, offset, life) - (int(now * 1000) + offset)
    assert life * 1000 - 1 <= ahead <= life * 1000
    assert ahead < 600_000, "the agent refuses more than ten minutes"


@given(st.binary(max_size=64))
def test_a_box_opens_with_its_own_key_and_label_only(secret: bytes) -> None:
    key, label = sealing_key(token()), grant_label("alpha", "grant-1")
    box = seal(key, label, secret)
    assert unseal(key, label, box) == secret
    assert unseal(sealing_key(token()), label, box) is None
    assert unseal(key, grant_label("beta", "grant-1"), box) is None
    assert unseal(key, grant_label("alpha", "grant-2"), box) is None
    for position in range(len(box)):
        changed = bytes(b ^ (1 if i == position else 0) for i, b in enumerate(box))
        assert unseal(key, label, changed) is None
    assert unseal(key, label, box[:-1]) is None
    assert unseal(key, label, b"") is None


def test_the_same_secret_never_makes_the_same_box() -> None:
    key = sealing_key("cookie")
    assert seal(key, "l", b"secret") != seal(key, "l", b"secret")
