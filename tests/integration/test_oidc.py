"""The OpenID client against a provider that lies: whatever the token, nobody is signed in by it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import RSAKey

from shared.identity import Subject
from shared.oidc import OidcError, OidcProvider, pack_state, unpack_state
from shared.wire.proof import token
from tests.integration.openid import (
    LOGOUT,
    Claims,
    Op,
    by_another_key,
    by_client_secret,
    by_public_key,
    serving,
    unsigned,
)

ATTEMPT = token()


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture(scope="module")
def provider() -> Iterator[Op]:
    with serving(Op()) as op:
        yield op


@pytest.fixture
def op(provider: Op) -> Op:
    provider.calm()
    return provider


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(op: Op, clock: Clock) -> OidcProvider:
    return OidcProvider(
        issuer=op.issuer, discovery_url=f"{op.issuer}/.well-known/openid-configuration", client_id=op.client_id,
        client_secret=op.client_secret, redirect_uri="http://portal.localhost:1/signin/callback/op", clock=clock,
    )  # fmt: skip


def sign_in(op: Op, client: OidcProvider, **changes: str) -> Any:
    state = pack_state(ATTEMPT, "/search")
    back = op.answer(client.authorization_url(state, ATTEMPT), **changes)
    query = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
    return client.finish(query, state, ATTEMPT)


def refused(op: Op, client: OidcProvider, reason: str = "bad_token", **changes: str) -> None:
    with pytest.raises(OidcError) as told:
        sign_in(op, client, **changes)
    assert told.value.reason == reason


def test_an_honest_provider_signs_a_person_in(op: Op, client: OidcProvider) -> None:
    done = sign_in(op, client)
    assert (done.subject, done.sid, done.name) == (Subject(op.issuer, "ada"), "sid-ada", "Ada")
    assert sign_in(op, client).subject == done.subject


def test_the_request_is_bound_to_browser_and_attempt(op: Op, client: OidcProvider) -> None:
    one = client.authorization_url("state-1", ATTEMPT)
    two = client.authorization_url("state-2", ATTEMPT)
    other = client.authorization_url("state-1", token())
    seen = [parse_qs(urlsplit(url).query) for url in (one, two, other)]
    for name in ("code_challenge", "nonce"):
        assert len({query[name][0] for query in seen}) == 3
    assert {query["code_challenge_method"][0] for query in seen} == {"S256"}
    assert all("offline_access" not in query["scope"][0] for query in seen)


def test_a_code_of_another_browser_is_refused_by_pkce(op: Op, client: OidcProvider) -> None:
    victim = pack_state(ATTEMPT, "/")
    back = op.answer(client.authorization_url(victim, ATTEMPT))
    query = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
    with pytest.raises(OidcError, match="token_refused"):
        client.finish(query, victim, token())


def _set(**claims: Any) -> Callable[[Claims], None]:
    return lambda given: given.update(claims)


NOW = int(time.time())


@pytest.mark.parametrize(
    "change",
    [
        _set(iss="https://evil.example"),
        _set(iss=None),
        _set(aud="another-client"),
        _set(aud=None),
        _set(aud="another-client", azp="portal"),
        _set(aud=["another-client"], azp="portal"),
        _set(aud=["portal", "another-client"]),
        _set(aud=["portal", "another-client"], azp="another-client"),
        _set(aud="portal", azp="another-client"),
        _set(nonce=None),
        _set(nonce="of-another-attempt"),
        _set(exp=None),
        _set(exp=NOW - 40),
        _set(iat=NOW + 7200),
        _set(nbf=NOW + 7200),
        _set(exp="soon"),
    ],
    ids=lambda change: None,
)
def test_a_token_that_is_not_for_us_now_is_refused(op: Op, client: OidcProvider, change: Any) -> None:
    op.change = change
    refused(op, client)


def test_two_audiences_are_fine_when_the_token_was_made_for_us(op: Op, client: OidcProvider) -> None:
    op.change = _set(aud=["portal", "another-client"], azp="portal")
    assert sign_in(op, client).subject.sub == "ada"


@pytest.mark.parametrize("sub", [None, "", "x" * 256, 7])
def test_a_token_without_a_usable_subject_is_refused(op: Op, client: OidcProvider, sub: Any) -> None:
    op.change = _set(sub=sub)
    with pytest.raises(OidcError):
        sign_in(op, client)


@pytest.mark.parametrize("sign", [unsigned, by_client_secret, by_public_key, by_another_key])
def test_a_token_signed_by_nobody_we_know_is_refused(op: Op, client: OidcProvider, sign: Any) -> None:
    op.sign = sign
    refused(op, client)


def test_metadata_cannot_widen_the_algorithms(op: Op, client: OidcProvider) -> None:
    op.metadata, op.sign = {"id_token_signing_alg_values_supported": ["none"]}, unsigned
    refused(op, client)


@pytest.mark.parametrize("answer", [{"id_token": None}, {"id_token": 7}])
def test_a_token_answer_without_an_id_token_is_refused(op: Op, client: OidcProvider, answer: Any) -> None:
    op.token = lambda given: given.update(answer)
    refused(op, client, "no_id_token")


def test_a_code_is_good_once(op: Op, client: OidcProvider) -> None:
    state = pack_state(ATTEMPT, "/")
    back = op.answer(client.authorization_url(state, ATTEMPT))
    query = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
    client.finish(query, state, ATTEMPT)
    with pytest.raises(OidcError, match="token_refused"):
        client.finish(query, state, ATTEMPT)


@pytest.mark.parametrize("iss", ["https://evil.example", ""])
def test_an_answer_of_another_issuer_is_refused_before_its_code_is_sent(
    op: Op, client: OidcProvider, iss: str
) -> None:
    refused(op, client, "wrong_issuer", iss=iss)
    assert len(op.visits) > 0, "the code was never redeemed"
    op.visits.clear()


def test_metadata_of_another_issuer_are_refused(op: Op, client: OidcProvider) -> None:
    op.metadata = {"issuer": "https://evil.example"}
    with pytest.raises(OidcError, match="wrong_issuer"):
        client.authorization_url("s", ATTEMPT)


def test_errors_of_the_provider_keep_known_reasons_only(op: Op, client: OidcProvider) -> None:
    for error, reason in (("login_required", "login_required"), ("<b>x</b>", "provider_error")):
        with pytest.raises(OidcError) as told:
            client.finish({"error": error, "iss": op.issuer}, "s", ATTEMPT)
        assert told.value.reason == reason


def test_a_rotated_key_is_fetched_once_and_bad_tokens_do_not_make_us_fetch(
    op: Op, client: OidcProvider, clock: Clock
) -> None:
    sign_in(op, client)
    op.key = RSAKey.generate_key(2048, parameters={"kid": "k1"})
    clock.ahead = 20
    op.fetched.clear()
    assert sign_in(op, client).subject.sub == "ada"
    op.sign = by_another_key
    for _ in range(3):
        refused(op, client)
    assert op.fetched == ["/jwks"]


def test_the_name_may_come_from_userinfo_and_is_never_needed(op: Op, client: OidcProvider) -> None:
    op.change = _set(name=None)
    assert sign_in(op, client).name == "Ada of Userinfo"
    op.person = ("somebody", "sid")
    op.metadata = {"userinfo_endpoint": f"{op.issuer}/nowhere"}
    fresh = OidcProvider(
        issuer=op.issuer, discovery_url=f"{op.issuer}/.well-known/openid-configuration", client_id="portal",
        client_secret=op.client_secret, redirect_uri="http://portal.localhost:1/x",
    )  # fmt: skip
    assert sign_in(op, fresh).name == ""


def test_a_dead_provider_is_one_reason(op: Op) -> None:
    dead = OidcProvider(
        issuer="http://127.0.0.1:9", discovery_url="http://127.0.0.1:9/x", client_id="c", client_secret="s",
        redirect_uri="http://portal.localhost:1/x",
    )  # fmt: skip
    with pytest.raises(OidcError, match="provider_unreachable"):
        dead.authorization_url("s", ATTEMPT)


def test_a_logout_token_names_who_left(op: Op, client: OidcProvider) -> None:
    told = client.logout_token(op.logout_token())
    assert (told.issuer, told.sub, told.sid) == (op.issuer, "ada", "sid-ada")
    assert client.logout_token(op.logout_token(sid=None)).sid == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"aud": "another-client"},
        {"aud": ["portal", "x"]},
        {"events": None},
        {"events": {}},
        {"events": [LOGOUT]},
        {"events": {"https://evil.example": {}}},
        {"nonce": "n"},
        {"jti": None},
        {"jti": 7},
        {"iat": None},
        {"iat": NOW - 3600},
        {"iat": NOW + 3600},
        {"exp": NOW - 3600},
        {"sid": None, "sub": None},
        {"sid": 7, "sub": 7},
    ],
    ids=str,
)
def test_a_bad_logout_token_is_refused(op: Op, client: OidcProvider, changes: dict[str, Any]) -> None:
    with pytest.raises(OidcError):
        client.logout_token(op.logout_token(**changes))


def test_a_replayed_logout_token_and_an_id_token_are_refused(op: Op, client: OidcProvider) -> None:
    raw = op.logout_token()
    client.logout_token(raw)
    with pytest.raises(OidcError, match="replayed_logout_token"):
        client.logout_token(raw)
    with pytest.raises(OidcError):
        client.logout_token(sign_in(op, client).id_token)
    for garbage in ("", "x.y.z", "é", "a" * 20_000):
        with pytest.raises(OidcError):
            client.logout_token(garbage)


def test_a_state_is_readable_only_with_the_cookie_that_made_it() -> None:
    state = pack_state(ATTEMPT, "/search?q=é", "link")
    assert unpack_state(ATTEMPT, state) == ("/search?q=é", "link")
    assert unpack_state(token(), state) is None
    nonce, packed, proof = state.split(".")
    other = pack_state(ATTEMPT, "//evil.example").split(".")[1]
    for forged in (
        f"{nonce}.{other}.{proof}",
        f"x{nonce}.{packed}.{proof}",
        f"{nonce}.{packed}.",
        "a.b",
        "",
        "é.é.é",
    ):
        assert unpack_state(ATTEMPT, forged) is None
    assert unpack_state("", state) is None
