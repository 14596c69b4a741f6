"""Keys and tokens: what the hub accepts, and each way in which it does not."""

from __future__ import annotations

import base64
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from central_portal.link.ports import Admission, FacilityKey
from central_portal.link.tokens import SKEW, TokenCheck, TokenRefused
from facility_agent.link.keys import load_key, load_or_create_key, public_text
from facility_agent.link.settings import LinkMisconfigured
from facility_agent.link.token import signed_token

NOW = 1_800_000_000.0
KEY = Ed25519PrivateKey.generate()


class Enrolled:
    """A registry of one facility."""

    async def key_of(self, facility_id: str) -> FacilityKey | None:
        known = facility_id == "alpha"
        return FacilityKey("alpha", KEY.public_key().public_bytes_raw()) if known else None

    async def admit(self, *_: Any) -> Admission:
        raise AssertionError("a token opens no session by itself")

    async def renew(self, *_: Any) -> frozenset[str]:
        raise AssertionError("nor does it keep one alive")

    async def close(self, *_: Any) -> None:
        raise AssertionError("nor does it end one")


def check(now: float = NOW) -> TokenCheck:
    return TokenCheck("hub", Enrolled(), lambda: now)


def token(key: Any = KEY, header: dict[str, Any] | None = None, **changes: Any) -> str:
    claims = {"iss": "alpha", "aud": "hub", "iat": int(NOW), "exp": int(NOW) + 60, "jti": "j" * 32, **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return jwt.encode(header or {"alg": "Ed25519"}, claims, OKPKey.import_key(pem), algorithms=["Ed25519"])


async def test_an_agents_token_is_good_once() -> None:
    checks = check()
    mine = signed_token(KEY, "alpha", "hub", NOW)
    assert await checks.facility_of(mine) == "alpha"
    with pytest.raises(TokenRefused, match="used before"):
        await checks.facility_of(mine)
    assert await checks.facility_of(signed_token(KEY, "alpha", "hub", NOW)) == "alpha"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "beta"},
        {"iss": "Alpha"},
        {"iss": None},
        {"iss": 7},
        {"aud": "other"},
        {"aud": None},
        {"aud": ["hub", "other"]},
        {"exp": int(NOW) + 61},
        {"exp": int(NOW)},
        {"exp": None},
        {"exp": "soon"},
        {"exp": float("nan")},
        {"iat": None},
        {"iat": True},
        {"iat": int(NOW) + 200, "exp": int(NOW) + 220},
        {"iat": int(NOW) - 300, "exp": int(NOW) - 240},
        {"jti": None},
        {"jti": "short"},
        {"jti": "x" * 65},
        {"jti": 5},
    ],
    ids=str,
)
async def test_claims_that_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused):
        await check().facility_of(token(**changes))


async def test_another_key_is_refused() -> None:
    with pytest.raises(TokenRefused, match="signature"):
        await check().facility_of(token(Ed25519PrivateKey.generate()))


async def test_one_changed_byte_is_refused() -> None:
    head, body, signature = token().split(".")
    raw = bytearray(base64.urlsafe_b64decode(body + "=="))
    raw[raw.index(b"60")] ^= 1
    changed = base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()
    with pytest.raises(TokenRefused):
        await check().facility_of(f"{head}.{changed}.{signature}")


async def test_another_algorithm_is_refused() -> None:
    """Neither `none`, nor the public key as an HMAC secret."""
    claims = {"iss": "alpha", "aud": "hub", "iat": int(NOW), "exp": int(NOW) + 60, "jti": "j" * 32}
    secret = OctKey.import_key(KEY.public_key().public_bytes_raw())
    forged = jwt.encode({"alg": "HS256"}, claims, secret, algorithms=["HS256"])
    _, body, _ = forged.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    for bad in (forged, f"{none}.{body}.", f"{none}.{body}.AAAA"):
        with pytest.raises(TokenRefused):
            await check().facility_of(bad)


@pytest.mark.parametrize("text", ["", "a", "a.b.c", "..", "é.b.c", "x" * 3000, "e30.e30.AA", "e30.W10.AA"])
async def test_what_is_no_token(text: str) -> None:
    with pytest.raises(TokenRefused):
        await check().facility_of(text)


@pytest.mark.parametrize(("offset", "good"), [(-59, True), (-61, False), (60 + 59, True), (60 + 61, False)])
async def test_clocks_may_differ_by_a_minute(offset: float, good: bool) -> None:
    checks = check(NOW + offset)
    if good:
        assert await checks.facility_of(token()) == "alpha"
    else:
        with pytest.raises(TokenRefused, match="expired"):
            await checks.facility_of(token())


async def test_a_jti_is_remembered_for_as_long_as_it_could_be_used() -> None:
    now = NOW - SKEW
    checks = TokenCheck("hub", Enrolled(), lambda: now)
    await checks.facility_of(token())
    now = NOW + 60 + SKEW
    with pytest.raises(TokenRefused, match="used before"):
        await checks.facility_of(token())


async def test_the_memory_of_used_tokens_is_bounded_and_frees_itself() -> None:
    now = NOW
    checks = TokenCheck("hub", Enrolled(), lambda: now)
    for _ in range(256):
        await checks.facility_of(signed_token(KEY, "alpha", "hub", now))
    with pytest.raises(TokenRefused, match="too many"):
        await checks.facility_of(signed_token(KEY, "alpha", "hub", now))
    now += 60 + SKEW + 1
    assert await checks.facility_of(signed_token(KEY, "alpha", "hub", now)) == "alpha"


async def test_a_refused_token_uses_up_no_memory() -> None:
    checks = check()
    for _ in range(300):
        with pytest.raises(TokenRefused):
            await checks.facility_of(token(Ed25519PrivateKey.generate()))
    assert await checks.facility_of(token()) == "alpha"


def test_a_key_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "state" / "agent.key"
    key = load_or_create_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create_key(path).private_bytes_raw() == key.private_bytes_raw()
    assert [entry.name for entry in path.parent.iterdir()] == ["agent.key"]
    public = load_der_public_key(base64.b64decode(public_text(key), validate=True))
    assert public == key.public_key()
    assert public_text(key).startswith("MCowBQYDK2VwAyEA")


def test_a_key_that_others_may_read_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "agent.key"
    load_or_create_key(path)
    path.chmod(0o640)
    with pytest.raises(LinkMisconfigured, match="chmod 600"):
        load_or_create_key(path)
    path.chmod(0o600)
    other = generate_private_key(SECP256R1())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(LinkMisconfigured, match="Ed25519"):
        load_or_create_key(path)
    path.write_bytes(b"not a key")
    with pytest.raises(LinkMisconfigured, match="PEM"):
        load_or_create_key(path)
    with pytest.raises(LinkMisconfigured, match="cannot be read"):
        load_key(tmp_path / "missing")
    assert path.read_bytes() == b"not a key", "what is there is never replaced"
