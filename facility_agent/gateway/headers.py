"""Which headers pass the proxy, each way. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from shared.limits import LIMITS

Pair = tuple[bytes, bytes]

_HOP = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te",
        b"trailer", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
_OURS = frozenset({b"authorization", b"cookie", b"forwarded", b"host", b"content-length", b"expect", b"via"})
_PARASOL = b"__Host-parasol"


def to_workspace(headers: Iterable[Pair], added: Iterable[tuple[str, str]], host: str, scheme: str) -> list[Pair]:
    """Request headers without hop-by-hop ones, credentials, forwarding claims and our cookies; with the proxy's own.

    Cookies beyond 8 KiB are dropped whole: a sibling can toss cookies, and no server takes endless ones.
    """
    pairs = [(name.lower(), value) for name, value in headers]
    named = {part.strip().lower() for name, value in pairs if name == b"connection" for part in value.split(b",")}
    kept = [
        (name, value)
        for name, value in pairs
        if name not in _HOP
        and name not in _OURS
        and name not in named
        and not name.startswith((b"x-forwarded-", b"x-real-", b"sec-websocket-"))
    ]
    cookies = _cookies(value for name, value in pairs if name == b"cookie")
    if cookies:
        kept.append((b"cookie", cookies))
    kept += [
        (b"host", host.encode()),
        (b"x-forwarded-host", host.encode()),
        (b"x-forwarded-proto", scheme.encode()),
    ]
    kept += [(name.lower().encode(), value.encode()) for name, value in added]
    return kept


def _cookies(values: Iterable[bytes]) -> bytes:
    parts = [part.strip() for value in values for part in value.split(b";")]
    kept = b"; ".join(part for part in parts if part and not part.startswith(_PARASOL))
    return kept if len(kept) <= LIMITS.proxied_cookie_bytes else b""


def to_browser(headers: Iterable[Pair]) -> list[Pair]:
    """Answer headers without hop-by-hop ones and without cookies that reach beyond their origin or pose as ours."""
    pairs = [(name.lower(), value) for name, value in headers]
    named = {part.strip().lower() for name, value in pairs if name == b"connection" for part in value.split(b",")}
    kept = [
        (name, value)
        for name, value in pairs
        if name not in _HOP and name not in named and not (name == b"set-cookie" and _is_foreign(value))
    ]
    return [*kept, (b"origin-agent-cluster", b"?1")]


def _is_foreign(cookie: bytes) -> bool:
    name, *attributes = cookie.split(b";")
    if name.strip().startswith(_PARASOL):
        return True
    return any(attribute.strip().lower().startswith(b"domain") for attribute in attributes)
