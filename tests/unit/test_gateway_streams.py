"""Where bodies and WebSocket frames end, however their bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facility_agent.gateway.bodies import LAST_CHUNK, BadBody, Chunked, Endless, Sized, body_of, chunk
from facility_agent.gateway.frames import Frames, close_frame

PARTS = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
CUTS = st.lists(st.integers(1, 17), min_size=1, max_size=8)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` cut into pieces of these sizes, again and again."""
    out, at, turn = [], 0, 0
    while at < len(data):
        size = cuts[turn % len(cuts)]
        out.append(data[at : at + size])
        at, turn = at + size, turn + 1
    return out


@given(st.binary(max_size=100), st.binary(max_size=20), CUTS)
def test_a_sized_body_ends_at_its_length(content: bytes, beyond: bytes, cuts: list[int]) -> None:
    body = Sized(len(content))
    read, rest = b"", b""
    for piece in pieces(content + beyond, cuts):
        passed, left = body.feed(piece)
        read, rest = read + passed, rest + left
    assert (read, rest, body.done) == (content, beyond, True)


@given(PARTS, CUTS)
def test_a_chunked_body_is_read_whole_however_it_is_cut(parts: list[bytes], cuts: list[int]) -> None:
    body = Chunked()
    read = [body.feed(piece)[0] for piece in pieces(b"".join(chunk(part) for part in parts) + LAST_CHUNK, cuts)]
    assert b"".join(read) == b"".join(parts)
    assert body.done


@pytest.mark.parametrize(
    "raw",
    [
        b"5\nhello\r\n0\r\n\r\n", b"5\r\nhelloX\r\n", b"g\r\n", b"-1\r\n", b"0x5\r\nhello", b" 5\r\nhello",
        b"ffffffffffffffffff\r\n", b"5\r\nhello\n0\r\n\r\n", b"\r\n", b"5;\x00\r\nhello",
        b"0\r\nContent-Length: 9\r\n\r\n", b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        b"0\r\n\r\nHTTP/1.1 200 OK\r\n\r\nmore",
    ],
)  # fmt: skip
def test_a_chunk_whose_size_could_be_read_in_two_ways_is_refused(raw: bytes) -> None:
    body = Chunked()
    with pytest.raises(BadBody):
        body.feed(raw)


def test_bytes_after_a_chunked_body_are_refused() -> None:
    body = Chunked()
    body.feed(LAST_CHUNK)
    assert body.done
    with pytest.raises(BadBody):
        body.feed(b"GET / HTTP/1.1\r\n\r\n")


def test_trailers_are_dropped() -> None:
    body = Chunked()
    assert body.feed(b"2\r\nab\r\n0\r\nX: y\r\n\r\n") == (b"ab", b"")
    assert body.done


def test_a_request_without_length_has_no_body_and_an_endless_answer_no_end() -> None:
    assert body_of(None, chunked=False) is None
    assert body_of(0, chunked=False) is None
    assert isinstance(body_of(1, chunked=False), Sized)
    assert chunk(b"") == b""
    endless = Endless()
    assert endless.feed(b"x") == (b"x", b"")
    assert not endless.done


def frame(payload: bytes, masked: bool) -> bytes:
    size, bit = len(payload), 0x80 if masked else 0
    if size < 126:
        head = bytes([0x82, bit | size])
    elif size < 65536:
        head = bytes([0x82, bit | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x82, bit | 127]) + size.to_bytes(8, "big")
    return head + (b"mask" if masked else b"") + payload


@settings(deadline=None)  # a large frame in single bytes takes its time
@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 125, 126, 127, 300, 65_536]), st.booleans()), max_size=4),
    st.lists(st.sampled_from([1, 2, 3, 5, 9, 100, 40_000]), min_size=1, max_size=6),
)
def test_edges_between_frames_are_found_however_they_are_cut(
    sizes: list[tuple[int, bool]], cuts: list[int]
) -> None:
    whole = [frame(bytes(size), masked) for size, masked in sizes]
    edges = {sum(len(f) for f in whole[:i]) for i in range(len(whole) + 1)}
    frames, at = Frames(), 0
    for piece in pieces(b"".join(whole), cuts):
        first = frames.feed(piece)
        inside = sorted(edge - at for edge in edges if at < edge <= at + len(piece))
        assert first == (inside[0] if inside else -1)
        at += len(piece)
        assert frames.at_edge == (at in edges)


def test_a_close_frame_tells_its_code() -> None:
    assert close_frame(4401) == b"\x88\x02\x11\x31"
