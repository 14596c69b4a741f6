"""Boxes that only the browser's cookie opens."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.wire.proof import hkdf

_NONCE = 12


def sealing_key(cookie: str) -> bytes:
    """The key of a session, from its cookie; the centre never stores it."""
    return hkdf(cookie.encode(), "parasol seal v1")


def seal(key: bytes, label: str, secret: bytes) -> bytes:
    """`secret` as a box that opens only with the same key and label."""
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, secret, label.encode())


def unseal(key: bytes, label: str, box: bytes) -> bytes | None:
    """What is in the box, None when key or label are not those that sealed it."""
    try:
        return AESGCM(key).decrypt(box[:_NONCE], box[_NONCE:], label.encode())
    except (InvalidTag, ValueError):
        return None


def grant_label(facility_id: str, grant_id: str) -> str:
    """What a grant's box is bound to."""
    return f"grant {facility_id} {grant_id}"


ID_TOKEN_LABEL = "id_token"  # noqa: S105 (a label, not a secret)
