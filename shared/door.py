"""The door: the pure ASGI middleware in front of the centre and of the gateway alike.

It refuses, before anything else runs: an unknown `Host`; a WebSocket or a cookie-carrying unsafe
method whose `Origin` is not exactly its own; a `same-site` or `cross-site` request unless it is a
GET navigation of a top-level document; anything but `same-origin` (or a user's own hand) on paths
that start something; a body beyond its bound. It sets the security headers of its own pages; what a
workspace answers keeps its own. Refusals carry a reason code and change nothing.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_FOREIGN = frozenset({"same-site", "cross-site"})


@dataclass(frozen=True, slots=True)
class Site:
    """One origin behind the door.

    `origin` is exact (`https://portal.example.org`). `headers` are added to every answer. `starts`
    are path prefixes that only this origin's own pages, or a person's typed address, may reach.
    `open_paths` are exact paths for other servers and for the portal's probe: no page, no cookie is looked at
    there, any origin may ask, and they get none of `headers`.
    `body_limit` bounds a request's body in bytes; None leaves it to the application.
    """

    origin: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    starts: tuple[str, ...] = ()
    open_paths: frozenset[str] = field(default_factory=frozenset)
    body_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the door stays shut: HTTP status, stable reason, one sentence."""

    status: int
    reason: str
    message: str


class _BodyTooLarge(Exception):
    pass


def security_headers(
    *,
    form_action: Iterable[str] = (),
    connect: Iterable[str] = (),
    scripts: bool = False,
    trusted_types: bool = False,
    hsts: bool = False,
) -> tuple[tuple[bytes, bytes], ...]:
    """The headers of Parasol's own pages. `form_action` names every origin a form's redirects may reach.

    `Referrer-Policy` is `same-origin`, never `no-referrer`: forms would then carry `Origin: null`.
    """
    policy = [
        "default-src 'none'",
        "img-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "script-src 'self'" if scripts else "script-src 'none'",
        "connect-src " + " ".join(["'self'", *connect]) if scripts else "connect-src 'none'",
        "form-action " + " ".join(["'self'", *form_action]),
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
    if trusted_types:
        policy.append("require-trusted-types-for 'script'")
    headers = [
        (b"content-security-policy", "; ".join(policy).encode()),
        (b"referrer-policy", b"same-origin"),
        (b"x-content-type-options", b"nosniff"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    ]
    if hsts:
        headers.append((b"strict-transport-security", b"max-age=31536000"))
    return tuple(headers)


class Door:
    """Wraps `app`; `site_of(host)` gives the Site of a `Host` header, or None to refuse it.

    The Site is passed on in `scope["parasol.site"]`.
    """

    def __init__(self, app: App, site_of: Callable[[str], Site | None]) -> None:
        self._app = app
        self._site_of = site_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge one request, then pass it on or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = _collect(scope["headers"])
        hosts = headers.get(b"host", [])
        site = self._site_of(hosts[0].decode("latin-1")) if len(hosts) == 1 else None
        refusal = judge(scope, headers, site)
        if refusal is not None or site is None:
            await _refuse(scope, receive, send, refusal or _UNKNOWN_HOST)
            return
        scope["parasol.site"] = site
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        await self._http(site, headers, scope, receive, send)

    async def _http(
        self, site: Site, headers: dict[bytes, list[bytes]], scope: Scope, receive: Receive, send: Send
    ) -> None:
        started = False

        async def guarded_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                if site.headers and scope["path"] not in site.open_paths:
                    ours = {name for name, _ in site.headers}
                    kept = [pair for pair in message.get("headers", ()) if pair[0].lower() not in ours]
                    message = {**message, "headers": [*kept, *site.headers]}
            await send(message)

        if site.body_limit is None or scope["method"] in SAFE_METHODS:
            await self._app(scope, receive, guarded_send)
            return
        try:
            await self._app(scope, _bounded(receive, site.body_limit), guarded_send)
        except _BodyTooLarge:
            if not started:
                await _refuse(scope, receive, send, _TOO_LARGE)


_UNKNOWN_HOST = Refusal(421, "UNKNOWN_HOST", "This server does not answer for this name.")
_FOREIGN_ORIGIN = Refusal(403, "FOREIGN_ORIGIN", "This request came from another site's page.")
_TOO_LARGE = Refusal(413, "BODY_TOO_LARGE", "The request is too large.")


def judge(scope: Mapping[str, Any], headers: dict[bytes, list[bytes]], site: Site | None) -> Refusal | None:
    """The verdict on one request, from its scope and collected headers alone; None lets it in."""
    if site is None:
        return _UNKNOWN_HOST
    origins = headers.get(b"origin", [])
    own = [site.origin.encode()]
    if scope["type"] == "websocket":
        return None if origins == own else _FOREIGN_ORIGIN
    path, method = scope["path"], scope["method"]
    if path in site.open_paths:
        return _declared_too_large(headers, site)
    if method not in SAFE_METHODS and (origins or b"cookie" in headers) and origins != own:
        return _FOREIGN_ORIGIN
    fetch_site = _one(headers, b"sec-fetch-site")
    if fetch_site in _FOREIGN:
        top_level = (
            _one(headers, b"sec-fetch-mode") == "navigate"
            and _one(headers, b"sec-fetch-dest") == "document"
            and method in SAFE_METHODS
        )
        if not top_level or path.startswith(site.starts or ("\0",)):
            return _FOREIGN_ORIGIN
    return _declared_too_large(headers, site) if method not in SAFE_METHODS else None


def _declared_too_large(headers: dict[bytes, list[bytes]], site: Site) -> Refusal | None:
    length = _one(headers, b"content-length")
    if site.body_limit is not None and length.isdigit() and int(length) > site.body_limit:
        return _TOO_LARGE
    return None


def _collect(raw: Iterable[tuple[bytes, bytes]]) -> dict[bytes, list[bytes]]:
    headers: dict[bytes, list[bytes]] = {}
    for name, value in raw:
        headers.setdefault(name.lower(), []).append(value)
    return headers


def _one(headers: dict[bytes, list[bytes]], name: bytes) -> str:
    values = headers.get(name, [])
    return values[0].decode("latin-1") if len(values) == 1 else ""


def _bounded(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise _BodyTooLarge
        return message

    return bounded


def refusal_answer(refusal: Refusal) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """(headers, body) of the answer that tells a refusal."""
    body = json.dumps({"reason": refusal.reason, "message": refusal.message}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    return headers, body


async def _refuse(scope: Scope, receive: Receive, send: Send, refusal: Refusal) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4403, "reason": refusal.reason})
        return
    headers, body = refusal_answer(refusal)
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
