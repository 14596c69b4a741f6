"""The agent's proof of who it is: a JWT per stream, signed with its own key."""

from __future__ import annotations

import uuid

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.jwk import OKPKey

from shared.limits import LIMITS


def signed_token(key: Ed25519PrivateKey, facility_id: str, audience: str, now: float) -> str:
    """A compact JWT that names the facility and the hub, good once, for at most 60 s from `now` (POSIX s)."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    issued = int(now)
    claims = {
        "iss": facility_id,
        "aud": audience,
        "iat": issued,
        "exp": issued + int(LIMITS.token_life),
        "jti": uuid.uuid4().hex,
    }
    return jwt.encode({"alg": "Ed25519"}, claims, OKPKey.import_key(pem), algorithms=["Ed25519"])
