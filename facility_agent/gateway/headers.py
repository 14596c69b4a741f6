"""Which headers pass the proxy, each way, and the heads that are sent instead of those that came. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from facility_agent.gateway.heads import AnswerHead, Pair, RequestHead
from shared.limits import LIMITS

_HOP = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te",
        b"trailer", b"transfer-encoding", b"upgrade", b"content-length",
    }
)  # fmt: skip
_NOT_IN = _HOP | {b"authorization", b"cookie", b"forwarded", b"host", b"expect", b"via"}
_CLAIMS = (b"x-forwarded-", b"x-real-")
_SOCKET = b"sec-websocket-"
# Said to a server in front of us (where a file lies), or of more than this origin (its cookies' whole site).
_NOT_OUT = _HOP | {
    b"alt-svc", b"clear-site-data", b"origin-agent-cluster", b"x-sendfile", b"x-accel-redirect", b"x-accel-charset", b"x-accel-expires",
    b"x-accel-limit-rate",
}  # fmt: skip
_PARASOL = b"__Host-parasol"
_STATUS = {
    number: b"HTTP/1.1 %d %b\r\n" % (number, HTTPStatus(number).phrase.encode() if number in set(HTTPStatus) else b"")
    for number in range(100, 600)
}  # fmt: skip


def request_head(head: RequestHead, added: Iterable[tuple[str, str]], scheme: str) -> bytes:
    """The head that a workspace gets: without hop-by-hop headers, credentials, forwarding claims and our cookies.

    With the proxy's own, which no header of the browser may pose as; a name with an underscore could, to some servers.
    Cookies beyond 8 KiB are dropped whole: a sibling can toss cookies, and no server takes endless ones.
    """
    ours = [(name.lower().encode(), value.encode()) for name, value in added]
    own = {name for name, _ in ours}
    host = head.fields[b"host"][0]
    out = [b"%b %b HTTP/1.1\r\nhost: %b" % (head.method.encode(), head.target, host)]
    for name, value in head.headers:
        if (
            name in _NOT_IN or name in head.named or name in own or b"_" in name or name.startswith(_CLAIMS)
            or (name.startswith(_SOCKET) and not head.is_socket)
        ):  # fmt: skip
            continue
        out.append(b"%b: %b" % (name, value))
    cookies = _cookies(head.fields.get(b"cookie", ()))
    if cookies:
        out.append(b"cookie: " + cookies)
    out.append(b"x-forwarded-host: %b\r\nx-forwarded-proto: %b" % (host, scheme.encode()))
    out += [b"%b: %b" % pair for pair in ours]
    out += _framing(head.length, head.chunked)
    if head.is_socket:
        out.append(b"connection: Upgrade\r\nupgrade: websocket")
    return b"\r\n".join(out) + b"\r\n\r\n"


def own_head(head: RequestHead) -> bytes:
    """The head that the gateway's own pages get: one request, then the connection is closed."""
    out = [b"%b %b HTTP/1.1" % (head.method.encode(), head.target)]
    out += [b"%b: %b" % pair for pair in head.headers if pair[0] not in _HOP and pair[0] not in head.named]
    out += [*_framing(head.length, head.chunked), b"connection: close"]
    return b"\r\n".join(out) + b"\r\n\r\n"


def answer_head(answer: AnswerHead, *, length: int | None, chunked: bool, keep: bool) -> bytes:
    """The head that the browser gets, with this framing.

    Without hop-by-hop headers and without cookies that reach beyond their origin or pose as ours.
    """
    out = [
        b"%b: %b\r\n" % (name, value)
        for name, value in answer.headers
        if name not in _NOT_OUT and name not in answer.named and not (name == b"set-cookie" and _is_foreign(value))
    ]
    out += [line + b"\r\n" for line in _framing(length, chunked)]
    if answer.status == 101:
        out.append(b"connection: Upgrade\r\nupgrade: websocket\r\n")
    elif not keep:
        out.append(b"connection: close\r\n")
    return b"%b%borigin-agent-cluster: ?1\r\n\r\n" % (_STATUS[answer.status], b"".join(out))


def own_answer(
    status: int, headers: Iterable[Pair], body: bytes, *, head: RequestHead | None, keep: bool
) -> bytes:
    """A whole answer of ours."""
    out = [b"%b: %b\r\n" % (name, value) for name, value in headers if name not in _HOP]
    if not keep:
        out.append(b"connection: close\r\n")
    out.append(b"content-length: %d\r\n\r\n" % len(body))
    return _STATUS[status] + b"".join(out) + (b"" if head is not None and head.method == "HEAD" else body)


def cookie_of(head: RequestHead, name: str) -> str:
    """A cookie of a request, empty without one."""
    wanted = name.encode() + b"="
    for value in head.fields.get(b"cookie", ()):
        if wanted in value:
            for part in value.split(b";"):
                if part.strip().startswith(wanted):
                    return part.strip()[len(wanted) :].decode("latin-1")
    return ""


def _framing(length: int | None, chunked: bool) -> list[bytes]:
    if chunked:
        return [b"transfer-encoding: chunked"]
    return [] if length is None else [b"content-length: %d" % length]


def _cookies(values: Iterable[bytes]) -> bytes:
    parts = [part.strip() for value in values for part in value.split(b";")]
    kept = b"; ".join(part for part in parts if part and not part.startswith(_PARASOL))
    return kept if len(kept) <= LIMITS.proxied_cookie_bytes else b""


def _is_foreign(cookie: bytes) -> bool:
    name, *attributes = cookie.split(b";")
    if name.strip().startswith(_PARASOL):
        return True
    return any(attribute.strip().lower().startswith(b"domain") for attribute in attributes)
