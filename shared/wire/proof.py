"""What both sides compute alike for a grant: hashes, PKCE, the agreed secret, the MAC.

The secret is agreed by X25519 and HKDF-SHA256 (RFC 7748, RFC 5869): the centre's ephemeral public
key goes to the gateway in the authorization request, the gateway's comes back beside the code. The
hub and every log together see the code's hash, the verifier and both public keys, never the secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def b64(data: bytes) -> str:
    """URL-safe base64 without padding (RFC 7515)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """The inverse of `b64`. Raises ValueError for anything else."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def token() -> str:
    """256 random bits as 43 URL-safe characters: a code, a cookie, a state."""
    return secrets.token_urlsafe(32)


def hashed(value: str | bytes) -> str:
    """Hex SHA-256: how every code and cookie is stored."""
    return hashlib.sha256(value.encode() if isinstance(value, str) else value).hexdigest()


def challenge(verifier: str) -> str:
    """The S256 challenge of a PKCE verifier (RFC 7636)."""
    return b64(hashlib.sha256(verifier.encode()).digest())


def hkdf(key: bytes, info: str, salt: bytes | None = None) -> bytes:
    """32 bytes by HKDF-SHA256."""
    return HKDF(hashes.SHA256(), 32, salt, info.encode()).derive(key)


def verifier_of(attempt: str, state: str) -> str:
    """The PKCE verifier of one attempt, derived from the browser's attempt cookie and the state."""
    return b64(hkdf(attempt.encode(), f"parasol verifier v1 {state}"))


def nonce_of(attempt: str, state: str) -> str:
    """The OpenID nonce of one attempt, derived like the verifier."""
    return b64(hkdf(attempt.encode(), f"parasol nonce v1 {state}"))


def private_key_of(attempt: str, state: str) -> X25519PrivateKey:
    """The centre's ephemeral key of one attempt, derived likewise, so that nothing secret is stored."""
    return X25519PrivateKey.from_private_bytes(hkdf(attempt.encode(), f"parasol x25519 v1 {state}"))


def public_half(key: X25519PrivateKey) -> str:
    """The public half as 43 characters."""
    return b64(key.public_key().public_bytes_raw())


def grant_secret(mine: X25519PrivateKey, theirs: str, code: str, centre_key: str, gateway_key: str) -> bytes:
    """The 32-byte secret of a grant. `theirs` is one of the two public keys; both enter the derivation.

    Raises ValueError when `theirs` is not a usable public key.
    """
    shared = mine.exchange(X25519PublicKey.from_public_bytes(unb64(theirs)))
    return hkdf(shared, f"parasol grant v2 {centre_key} {gateway_key}", hashlib.sha256(code.encode()).digest())


def mac(secret: bytes, body: bytes) -> bytes:
    """HMAC-SHA256 of a command's body under a grant's secret."""
    return hmac.new(secret, body, hashlib.sha256).digest()


def same(left: bytes, right: bytes) -> bool:
    """Equality in constant time."""
    return hmac.compare_digest(left, right)
