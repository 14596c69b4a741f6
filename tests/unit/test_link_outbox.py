"""What waits to be written: order, bounds, frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import RateLimited
from shared.link.outbox import Lane, Outbox
from shared.link.terms import Terms
from shared.wire.raw import pieces

TERMS = Terms(frame_envelopes=4, frame_bytes=100, queue_envelopes=8, queue_bytes=400, control_envelopes=3)


def frames(outbox: Outbox) -> list[list[bytes]]:
    found = []
    while (frame := outbox.next_frame()) is not None:
        found.append(pieces(frame, 1, 1000))
    return found


def test_control_goes_first_then_facts_then_data() -> None:
    outbox = Outbox(TERMS)
    outbox.put(Lane.QUERY, 1, b"data")
    outbox.fact("f", b"fact")
    outbox.control("c", b"control")
    assert frames(outbox) == [[b"control", b"fact", b"data"]]
    assert len(outbox) == outbox.waiting_bytes(Lane.QUERY) == 0


def test_a_newer_fact_or_heartbeat_replaces_the_waiting_one() -> None:
    outbox = Outbox(TERMS)
    for n in range(5):
        outbox.fact("w", b"fact %d" % n)
        assert outbox.control("heartbeat", b"beat %d" % n)
    assert frames(outbox) == [[b"beat 4", b"fact 4"]]


def test_full_lanes_refuse_and_keep_what_they_have() -> None:
    outbox = Outbox(TERMS)
    for n in range(8):
        outbox.put(Lane.QUERY, n, b"%d" % n)
    with pytest.raises(RateLimited):
        outbox.put(Lane.QUERY, 8, b"8")
    assert [outbox.control(n, b"c") for n in range(4)] == [True, True, True, False]
    assert sum(map(len, frames(outbox))) == 11
    with pytest.raises(RateLimited):
        outbox.put(Lane.QUERY, 9, b"x" * 401)


def test_what_is_withdrawn_is_never_written() -> None:
    outbox = Outbox(TERMS)
    outbox.put(Lane.QUERY, 1, b"one")
    outbox.put(Lane.QUERY, 2, b"two")
    outbox.withdraw(Lane.QUERY, 1)
    outbox.withdraw(Lane.QUERY, 1)
    outbox.withdraw(Lane.QUERY, 99)
    assert outbox.waiting_bytes(Lane.QUERY) == 3
    assert frames(outbox) == [[b"two"]]


@given(st.lists(st.binary(max_size=150), max_size=8))
def test_frames_keep_the_limits_and_the_order(envelopes: list[bytes]) -> None:
    outbox = Outbox(Terms(frame_envelopes=4, frame_bytes=100))
    for n, envelope in enumerate(envelopes):
        outbox.put(Lane.QUERY, n, envelope)
    written = frames(outbox)
    assert [envelope for frame in written for envelope in frame] == envelopes
    for frame in written:
        assert 1 <= len(frame) <= 4
        assert len(frame) == 1 or sum(map(len, frame)) <= 100
