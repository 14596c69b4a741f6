"""What the gateway reads of a message's head, and that nothing behind it can read it otherwise."""

from __future__ import annotations

import re
from contextlib import suppress

import httptools
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from facility_agent.gateway import heads
from facility_agent.gateway.headers import answer_head, own_head, request_head
from facility_agent.gateway.heads import LIMIT, BadHead, cut, parse_answer, parse_request

TOKEN = st.text("abcdefghijklmnopqrstuvwxyz-ABCDEF0123456789!#$%&'*+.^_`|~", min_size=1, max_size=12).map(
    str.encode
)
VALUE = st.binary(max_size=30).map(
    lambda raw: bytes(b for b in raw if b == 9 or (b >= 32 and b != 127)).strip(b" \t")
)
FRAMING = {b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"host", b"expect"}
FIELDS = st.lists(st.tuples(TOKEN, VALUE).filter(lambda pair: pair[0].lower() not in FRAMING), max_size=8)


def request(*lines: bytes, first: bytes = b"GET / HTTP/1.1") -> bytes:
    return b"\r\n".join([first, b"Host: a", *lines]) + b"\r\n\r\n"


@pytest.mark.parametrize(
    "line",
    [
        b"Content-Length: 1\r\nContent-Length: 1", b"Content-Length: 1\r\nContent-Length: 2",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\nContent-Length: 5",
        b"Content-Length: +1", b"Content-Length: -1", b"Content-Length: 0x1", b"Content-Length: 1, 1", b"Content-Length:",
        b"Content-Length: 1_0", b"Content-Length: 9999999999999999",
        b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: identity", b"Transfer-Encoding:\x0bchunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"Transfer-Encoding : chunked",
        b"Content-Length : 5", b"X: a\r\n Content-Length: 5", b"X: a\r\n\tb", b"X: a\nY: b", b"X: a\rY: b", b"X: a\x00b",
        b"X: a\x7fb", b": empty", b"no colon", b"X(y: z", b"X y: z", b"\xc3\xa9: z",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 5",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nTransfer-Encoding: chunked",
    ],
)  # fmt: skip
def test_a_request_whose_end_could_be_read_in_two_ways_is_refused(line: bytes) -> None:
    with pytest.raises(BadHead) as caught:
        parse_request(request(line))
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "first",
    [
        b"GET http://a/ HTTP/1.1", b"GET a:80 HTTP/1.1", b"OPTIONS * HTTP/1.1", b"CONNECT a:80 HTTP/1.1", b"TRACE / HTTP/1.1", b"GET /a b HTTP/1.1",
        b"GET /#x HTTP/1.1", b"GET /\xc3\xa9 HTTP/1.1", b"GET /\x7f HTTP/1.1", b"GET / HTTP/1.2", b"GET / HTTP/2.0",
        b"PRI * HTTP/2.0", b"GET /", b"GET / HTTP/1.1 ", b"\r\nGET / HTTP/1.1", b" GET / HTTP/1.1", b"G(T / HTTP/1.1", b"",
        b"\x16\x03\x01 TLS",
    ],
)  # fmt: skip
def test_a_request_line_that_is_not_a_method_a_path_and_http_1_is_refused(first: bytes) -> None:
    with pytest.raises(BadHead):
        parse_request(request(first=first))


def test_an_upgrade_to_anything_but_a_websocket_is_none() -> None:
    head = parse_request(
        request(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAA")
    )
    assert not head.is_socket
    sent = request_head(head, (), "http").lower()
    assert not any(word in sent for word in (b"h2c", b"upgrade", b"http2-settings"))


def test_a_chunked_request_or_an_old_one_is_the_last_of_its_connection() -> None:
    assert parse_request(request()).keeps_alive
    assert not parse_request(request(b"Transfer-Encoding: chunked")).keeps_alive
    assert not parse_request(request(b"Connection: close")).keeps_alive
    assert not parse_request(request(first=b"GET / HTTP/1.0")).keeps_alive
    with pytest.raises(BadHead):
        parse_request(request(b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.0"))


def test_a_head_is_bounded_whether_it_ends_or_not() -> None:
    assert cut(b"GET / HTTP/1.1\r\nHost: a\r\n") is None
    assert cut(b"x\r\n\r\nrest") == (b"x\r\n\r\n", b"rest")
    for endless in (b"a" * (LIMIT + 1), request(b"X: " + b"a" * LIMIT)):
        with pytest.raises(BadHead) as caught:
            cut(endless)
        assert caught.value.status == 431


class Reader:
    """A server behind the gateway, as lenient as httptools is by itself."""

    def __init__(self) -> None:
        self.heads: list[tuple[bytes, list[tuple[bytes, bytes]]]] = []
        self.body = b""

    def on_message_begin(self) -> None:
        self.heads.append((b"", []))

    def on_url(self, url: bytes) -> None:
        self.heads[-1] = (self.heads[-1][0] + url, self.heads[-1][1])

    def on_header(self, name: bytes, value: bytes) -> None:
        self.heads[-1][1].append((name, value))

    def on_body(self, part: bytes) -> None:
        self.body += part


@given(FIELDS, st.sampled_from([b"", b"content-length: 5", b"transfer-encoding: chunked"]))
def test_what_is_sent_to_a_workspace_is_one_request_with_the_same_framing(
    fields: list[tuple[bytes, bytes]], framing: bytes
) -> None:
    lines = [b"%b: %b" % pair for pair in fields] + ([framing] if framing else [])
    head = parse_request(request(*lines, first=b"POST /a?b=%20 HTTP/1.1"))
    for sent in (request_head(head, (("X-Token", "secret"),), "https"), own_head(head)):
        reader = Reader()
        parser = httptools.HttpRequestParser(reader)
        parser.feed_data(
            sent + {b"": b"", b"content-length: 5": b"hello"}.get(framing, b"5\r\nhello\r\n0\r\n\r\n")
        )
        ((url, seen),) = reader.heads
        assert url == b"/a?b=%20"
        assert reader.body == (b"hello" if framing else b"")
        names = [name for name, _ in seen]
        assert names.count(b"host") == 1
        assert [name for name in names if name in (b"content-length", b"transfer-encoding")] == (
            [framing.partition(b":")[0]] if framing else []
        )


@given(st.binary(max_size=200))
def test_no_bytes_make_a_head_that_breaks_out_of_its_lines(raw: bytes) -> None:
    try:
        head = parse_request(request(b"X: " + raw))
    except BadHead:
        return
    sent = request_head(head, (), "http")
    assert sent.endswith(b"\r\n\r\n")
    assert sent.count(b"\r\n\r\n") == 1
    assert re.search(rb"(?<!\r)\n|\r(?!\n)|\0", sent) is None


@given(st.binary(max_size=120))
def test_any_bytes_are_a_head_or_refused(raw: bytes) -> None:
    for parse in (parse_request, parse_answer):
        with suppress(BadHead):
            parse(raw + b"\r\n\r\n")


@given(FIELDS, st.integers(200, 599), st.sampled_from([b"content-length: 3", b"transfer-encoding: chunked", b""]))
def test_an_answer_is_told_with_our_framing(
    fields: list[tuple[bytes, bytes]], status: int, framing: bytes
) -> None:
    assume(all(name.lower() != b"set-cookie" for name, _ in fields))
    lines = [b"HTTP/1.1 %d x" % status, *(b"%b: %b" % pair for pair in fields), *([framing] if framing else [])]
    answer = parse_answer(b"\r\n".join(lines) + b"\r\n\r\n")
    told = parse_answer(answer_head(answer, length=7, chunked=False, keep=False))
    assert (told.status, told.length, told.chunked, told.keeps_alive) == (status, 7, False, False)
    assert [v for n, v in told.headers if n == b"origin-agent-cluster"] == [b"?1"]


@pytest.mark.parametrize(
    "line", [b"Content-Length: 1\r\nContent-Length: 2", b"Content-Length: 1\r\nTransfer-Encoding: chunked",
             b"X: a\r\n b", b"X: a\nSet-Cookie: b", b"Transfer-Encoding: gzip", b"X: \x00"]
)  # fmt: skip
def test_an_answer_whose_end_could_be_read_in_two_ways_is_refused(line: bytes) -> None:
    with pytest.raises(BadHead):
        parse_answer(b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\n")


def test_the_limit_has_room_for_every_cookie_that_is_dropped_later() -> None:
    assert heads.LIMIT > 4 * 8 * 1024
