"""States of sign-in attempts: what a browser brings back, bound to the attempt that it holds."""

from __future__ import annotations

import secrets

from shared.wire.proof import b64, hkdf, mac, same, unb64


def new_state() -> str:
    """A state for one attempt; not secret, only unguessable."""
    return secrets.token_urlsafe(18)


def pack_state(attempt: str, path: str, mode: str = "") -> str:
    """A state that carries where to return to, readable only as ours by the browser that holds `attempt`."""
    packed = b64(f"{mode} {path}".encode())
    nonce = new_state()
    return f"{nonce}.{packed}.{_state_mac(attempt, nonce, packed)}"


def unpack_state(attempt: str, state: str) -> tuple[str, str] | None:
    """(path, mode) of a state that `pack_state` made for this attempt, else None."""
    parts = state.split(".")
    if len(parts) != 3 or len(attempt) != 43:
        return None
    nonce, packed, given = parts
    if not same(_state_mac(attempt, nonce, packed).encode(), given.encode()):
        return None
    mode, _, path = unb64(packed).decode().partition(" ")
    return path, mode


def _state_mac(attempt: str, nonce: str, packed: str) -> str:
    return b64(mac(hkdf(attempt.encode(), "parasol state v1"), f"{nonce}.{packed}".encode())[:16])
