"""Heads of HTTP/1.1 messages: bytes → values. Pure, and stricter than any server behind us, so that none reads them otherwise.

What the parser would forgive is refused first: a bare CR or LF, folded lines, control characters, a field name that
is no token. A message has at most one framing: `Content-Length` once, or `Transfer-Encoding: chunked`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import httptools

Pair = tuple[bytes, bytes]
LIMIT = 64 * 1024
_END = b"\r\n\r\n"
_TEXT = bytes(byte for byte in range(256) if byte in b"\t\r\n" or (byte >= 32 and byte != 127))
_TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TARGET = re.compile(rb"/[\x21\x22\x24-\x7e]*")
_LENGTH = re.compile(rb"[0-9]{1,15}")


class BadHead(Exception):
    """A head that cannot be served: HTTP status, stable reason, one sentence."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        self.status, self.reason, self.message = status, reason, message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A browser's request. Names are lower-case, `fields` has every value of a name in order.

    `length` is None when there is no `Content-Length`; `is_socket` when it asks for a WebSocket.
    """

    method: str
    target: bytes
    headers: list[Pair]
    fields: dict[bytes, list[bytes]]
    named: frozenset[bytes]
    length: int | None
    chunked: bool
    modern: bool
    is_socket: bool

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition(b"?")[0].decode("ascii")

    @property
    def query(self) -> str:
        """The query as it was sent."""
        return self.target.partition(b"?")[2].decode("ascii")

    @property
    def has_body(self) -> bool:
        """Whether more bytes belong to this request."""
        return self.chunked or bool(self.length)

    @property
    def keeps_alive(self) -> bool:
        """Whether another request may follow on this connection."""
        return self.modern and b"close" not in self.named and not self.chunked and not self.is_socket

    def one(self, name: bytes) -> str:
        """The value of a field that came exactly once, else empty."""
        values = self.fields.get(name, ())
        return values[0].decode("latin-1") if len(values) == 1 else ""


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """A workspace's answer. With neither `length` nor `chunked` its body ends with the connection."""

    status: int
    headers: list[Pair]
    named: frozenset[bytes]
    length: int | None
    chunked: bool
    keeps_alive: bool


class _Collector:
    """What httptools calls back."""

    __slots__ = ("done", "pairs", "url")

    def __init__(self) -> None:
        self.url, self.pairs, self.done = b"", [], False  # type: tuple[bytes, list[Pair], bool]

    def on_url(self, part: bytes) -> None:
        self.url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self.pairs.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.done = True


def cut(buffer: bytes) -> tuple[bytes, bytes] | None:
    """(a whole head, what follows), None while it is not complete. Raises BadHead when it is too large."""
    end = buffer.find(_END)
    if end > LIMIT or (end < 0 and len(buffer) > LIMIT):
        raise BadHead(431, "HEAD_TOO_LARGE", "The request's head is too large.")
    return None if end < 0 else (buffer[: end + 4], buffer[end + 4 :])


def parse_request(raw: bytes) -> RequestHead:
    """A request's head, up to and with its empty line. Raises BadHead."""
    seen = _Collector()
    parser = httptools.HttpRequestParser(seen)
    _feed(parser, seen, raw)
    version = parser.get_http_version()
    if version not in ("1.1", "1.0"):
        raise BadHead(505, "VERSION_NOT_SUPPORTED", "Only HTTP/1.1 is spoken here.")
    method = parser.get_method().decode("ascii")
    if method in ("CONNECT", "TRACE"):
        raise BadHead(405, "METHOD_NOT_ALLOWED", "This method is not served here.")
    if _TARGET.fullmatch(seen.url) is None:
        raise _bad("The request's target is not a path.")
    modern = version == "1.1"
    fields = _fields(seen.pairs)
    length, chunked = _framing(fields, modern)
    named = _named(fields)
    is_socket = (
        modern
        and b"upgrade" in named
        and [value.lower() for value in fields.get(b"upgrade", ())] == [b"websocket"]
    )
    if is_socket and (method != "GET" or chunked or length):
        raise _bad("A WebSocket is asked for by a GET without a body.")
    return RequestHead(method, seen.url, seen.pairs, fields, named, length, chunked, modern, is_socket)


def parse_answer(raw: bytes) -> AnswerHead:
    """An answer's head, up to and with its empty line. Raises BadHead."""
    seen = _Collector()
    parser = httptools.HttpResponseParser(seen)
    _feed(parser, seen, raw)
    status, modern = parser.get_status_code(), parser.get_http_version() == "1.1"
    fields = _fields(seen.pairs)
    length, chunked = _framing(fields, modern)
    named = _named(fields)
    alive = modern and b"close" not in named
    if not 100 <= status <= 599:
        raise _bad("The status is not one of HTTP.")
    return AnswerHead(status, seen.pairs, named, length, chunked, alive)


def _feed(
    parser: httptools.HttpRequestParser | httptools.HttpResponseParser, seen: _Collector, raw: bytes
) -> None:
    if not _is_plain(raw):
        raise _bad("The message's head is malformed.")
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # decided below, by our own rules
    except httptools.HttpParserError as error:
        raise _bad("The message's head is malformed.") from error
    names = [name for name, _ in seen.pairs]
    if not seen.done or not all(names) or b"".join(names).translate(None, _TOKEN):
        raise _bad("The message's head is malformed.")


def _is_plain(raw: bytes) -> bool:
    """Lines of text that end with CR LF, the first of them not empty, none of them folded."""
    lines = raw.count(b"\r\n")
    return (
        raw.count(b"\r") == lines == raw.count(b"\n")
        and raw[:1].isalpha()
        and b"\n " not in raw
        and b"\n\t" not in raw
        and not raw.translate(None, _TEXT)
    )


def _fields(pairs: list[Pair]) -> dict[bytes, list[bytes]]:
    fields: dict[bytes, list[bytes]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def _named(fields: dict[bytes, list[bytes]]) -> frozenset[bytes]:
    values = fields.get(b"connection")
    if values is None:
        return frozenset()
    return frozenset(part.strip().lower() for value in values for part in value.split(b","))


def _framing(fields: dict[bytes, list[bytes]], modern: bool) -> tuple[int | None, bool]:
    lengths, codings = fields.get(b"content-length"), fields.get(b"transfer-encoding")
    if codings is not None:
        if lengths is not None or not modern or [value.lower() for value in codings] != [b"chunked"]:
            raise _bad("The message's length is ambiguous.")
        return None, True
    if lengths is None:
        return None, False
    if len(lengths) != 1 or _LENGTH.fullmatch(lengths[0]) is None:
        raise _bad("The message's length is ambiguous.")
    return int(lengths[0]), False


def _bad(message: str) -> BadHead:
    return BadHead(400, "BAD_REQUEST", message)
