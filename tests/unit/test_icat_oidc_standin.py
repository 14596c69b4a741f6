"""The stand-in's authn.oidc: as strict as its source, and as lenient."""

from __future__ import annotations

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from tests.icat_tokens import ISSUER, PLUGIN, key, token, trusting
from tests.standins.icat import Icat, Refused


def entered(icat: Icat, text: str) -> str:
    return icat.authenticators[PLUGIN].check({"token": text})


def signed(icat: Icat, head: dict[str, str], signing: object) -> str:
    now = int(icat.clock().timestamp())
    return jwt.encode({"alg": "RS256", **head}, {"iss": ISSUER, "sub": "s", "exp": now + 60}, signing)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"iss": "https://other.example.org"}, "The iss claim of the token does not match the configured issuer"),
        ({"iss": None}, "The token is missing the iss claim"),
        ({"exp": 1}, "The token has expired"),
    ],
)
def test_a_token_of_another_issuer_or_time_is_refused(changes: dict[str, object], told: str) -> None:
    icat = trusting(Icat())
    with pytest.raises(Refused) as refused:
        entered(icat, token(icat, "db/ann", **changes))
    assert (refused.value.code, refused.value.status, refused.value.message) == ("SESSION", 403, told)


def test_a_token_that_is_none_or_signed_by_somebody_else_is_refused() -> None:
    icat = trusting(Icat())
    good = token(icat, "db/ann")
    for text, told in (
        ("nonsense", "could not be decoded"), ("a.b.c", "could not be decoded"), (good[:-8] + "AAAAAAAA", "is invalid"),
        (signed(icat, {}, key()), "is missing a kid"), (signed(icat, {"kid": "k2"}, key("k2")), "matching the kid"),
        (signed(icat, {"kid": "k1"}, key("k2")), "is invalid"),
        (jwt.encode({"alg": "HS256", "kid": "k1"}, {"iss": ISSUER, "sub": "s"}, OctKey.import_key("x" * 32)), "is invalid"),
    ):  # fmt: skip
        with pytest.raises(Refused, match=told):
            entered(icat, text)
    assert entered(icat, good) == "db/ann"


def test_whom_a_token_is_for_is_not_looked_at() -> None:
    icat = trusting(Icat())
    assert entered(icat, token(icat, "db/ann", aud="another-application", azp="x", exp=None)) == "db/ann"


def test_the_claim_names_the_user_of_any_mechanism_and_the_subject_stands_in_for_it() -> None:
    icat = trusting(Icat(), mechanism="oidc")
    assert entered(icat, token(icat, "root/root")) == "root/root"
    assert entered(icat, token(icat, "", icatUser=None, sub="s-1")) == "oidc/s-1"
    assert entered(trusting(icat, mechanism="oidc", prepend=True), token(icat, "ann")) == "oidc/ann"
    with pytest.raises(Refused, match="missing an ICAT username"):
        entered(trusting(icat, needs_claim=True), token(icat, "", icatUser=None))


def test_a_scope_is_demanded_where_the_site_says_so() -> None:
    icat = trusting(Icat(), scope="icat")
    for changes in ({}, {"scope": "openid icat2"}):
        with pytest.raises(Refused, match="scope"):
            entered(icat, token(icat, "db/ann", **changes))
    assert entered(icat, token(icat, "db/ann", scope="openid icat")) == "db/ann"
