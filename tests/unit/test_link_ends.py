"""The two ends as state machines: handshake, epochs, tickets, signs of life, refusals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from shared.errors import DeadlineExceeded, FacilityUnavailable, InvalidRequest, ParasolError, RateLimited
from shared.link.agent_end import AgentEnd
from shared.link.centre_end import CentreEnd
from shared.link.end import End, Phase
from shared.link.outputs import (
    Closed,
    CommandArrived,
    Ending,
    Greeted,
    Opened,
    Output,
    PeerDrains,
    Reported,
    Settled,
)
from shared.link.terms import Terms
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.raw import delimited, pieces

TERMS = Terms(outstanding=5, control_envelopes=10)


def carry(sender: End[Any], receiver: End[Any], now: float = 0.0) -> list[Output]:
    """Everything that waits at `sender`, delivered."""
    out: list[Output] = []
    while (frame := sender.next_frame()) is not None:
        out += receiver.receive(frame, now)
    return out


def frame(*envelopes: pb.AgentEnvelope | pb.CentreEnvelope) -> bytes:
    return b"".join(delimited(1, envelope.SerializeToString()) for envelope in envelopes)


def joined(terms: Terms = TERMS, agent_terms: Terms = TERMS, epoch: int = 7) -> tuple[CentreEnd, AgentEnd]:
    """Two ends after the handshake at instant 0."""
    centre, agent = CentreEnd(terms, 0.0), AgentEnd(agent_terms, pb.Hello(facility_id="alpha"), 0.0)
    (greeted,) = carry(agent, centre)
    assert isinstance(greeted, Greeted)
    assert centre.welcome(epoch, "s", greeted.version, 0.0)
    (opened,) = carry(centre, agent)
    assert opened == Opened(epoch, "s", 1)
    return centre, agent


def ask(centre: CentreEnd, now: float = 0.0, timeout: float = 5.0, body: bytes = b"body") -> int:
    return centre.ask(body, "grant", b"mac", timeout, now)


def only(outputs: Iterable[Output]) -> Output:
    (output,) = outputs
    return output


def sent(end: End[Any], kind: type[Any]) -> list[Any]:
    found: list[Any] = []
    while (data := end.next_frame()) is not None:
        found += [kind.FromString(piece) for piece in pieces(data, 1, 100)]
    return found


def test_a_command_is_asked_and_answered() -> None:
    centre, agent = joined()
    ticket = ask(centre, timeout=1.5)
    arrived = only(carry(centre, agent))
    assert arrived == CommandArrived(ticket, b"body", "grant", b"mac", 1.5, "")
    result = pb.Result(ticket=ticket, outcome="OK", payload=b"p")
    assert agent.answer(result)
    assert only(carry(agent, centre)) == Settled(ticket, result)
    assert centre.outstanding == agent.outstanding == 0


def test_a_ticket_is_answered_once_and_only_its_own_answer_counts() -> None:
    centre, agent = joined()
    ticket = ask(centre)
    carry(centre, agent)
    assert not agent.answer(pb.Result(ticket=ticket + 1, outcome="OK"))
    assert agent.answer(pb.Result(ticket=ticket, outcome="OK"))
    assert not agent.answer(pb.Result(ticket=ticket, outcome="DENIED"))
    frames = agent.next_frame()
    assert frames is not None
    assert len(centre.receive(frames, 0.0)) == 1
    assert centre.receive(frames, 0.0) == []
    wrong = pb.AgentEnvelope(epoch=7, result=pb.Result(ticket=999, outcome="OK"))
    assert centre.receive(frame(wrong), 0.0) == []
    assert centre.closed is None


def test_a_late_answer_changes_nothing() -> None:
    centre, agent = joined()
    ticket = ask(centre, timeout=2.0)
    carry(centre, agent)
    assert centre.deadline() == 2.0
    assert centre.tick(1.999) == []
    settled = only(centre.tick(2.0))
    assert isinstance(settled, Settled)
    assert isinstance(settled.result, DeadlineExceeded)
    assert agent.answer(pb.Result(ticket=ticket, outcome="OK"))
    assert carry(agent, centre, 2.1) == []


def test_a_command_whose_time_is_over_is_not_sent_any_more() -> None:
    centre, agent = joined()
    ask(centre, timeout=1.0)
    second = ask(centre, timeout=9.0)
    centre.tick(1.0)
    assert [c.ticket for c in carry(centre, agent) if isinstance(c, CommandArrived)] == [second]


def test_what_nobody_waits_for_is_forgotten() -> None:
    centre, agent = joined()
    ticket = ask(centre, timeout=1.0)
    centre.forget(ticket)
    assert carry(centre, agent) == []
    assert centre.tick(1.0) == []
    assert centre.outstanding == 0


def test_the_end_of_a_session_settles_every_ask() -> None:
    centre, agent = joined()
    tickets = {ask(centre) for _ in range(3)}
    *settled, closed = centre.lose("gone")
    assert closed == Closed(Ending.LOST, "gone")
    assert {s.ticket for s in settled if isinstance(s, Settled)} == tickets
    assert all(isinstance(s.result, FacilityUnavailable) for s in settled if isinstance(s, Settled))
    assert centre.lose("again") == ()
    assert centre.receive(b"\xff", 0.0) == ()
    assert centre.next_frame() is None
    with pytest.raises(FacilityUnavailable):
        ask(centre)
    carry(agent, centre)
    assert centre.phase is Phase.CLOSED


def test_too_many_asks_are_refused_early_and_nothing_is_dropped() -> None:
    centre, agent = joined()
    tickets = [ask(centre) for _ in range(5)]
    with pytest.raises(RateLimited):
        ask(centre)
    assert [c.ticket for c in carry(centre, agent) if isinstance(c, CommandArrived)] == tickets


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 601])
def test_an_odd_timeout_is_refused(timeout: float) -> None:
    centre, _ = joined()
    with pytest.raises(InvalidRequest):
        ask(centre, timeout=timeout)
    assert centre.outstanding == 0


def test_a_body_that_no_agent_would_read_is_refused() -> None:
    centre, _ = joined()
    with pytest.raises(InvalidRequest):
        ask(centre, body=b"x" * 70_000)
    assert centre.next_frame() is None
    assert centre.outstanding == 0


def test_an_agent_with_too_much_to_do_refuses_the_command_alone() -> None:
    centre, agent = joined(agent_terms=Terms(query_credits=1))
    centre._asks.window.size = 2  # a hub that minds no credits
    first, second = ask(centre), ask(centre)
    assert [c.ticket for c in carry(centre, agent) if isinstance(c, CommandArrived)] == [first]
    settled = only(carry(agent, centre))
    assert isinstance(settled, Settled)
    assert settled.ticket == second
    assert isinstance(settled.result, RateLimited)
    assert agent.answer(pb.Result(ticket=first, outcome="OK"))
    assert isinstance(only(carry(agent, centre)), Settled)


def test_an_answer_that_does_not_fit_becomes_a_refusal() -> None:
    centre, agent = joined(agent_terms=Terms(envelope_bytes=1000, queue_bytes=1500))
    tickets = [ask(centre) for _ in range(3)]
    carry(centre, agent)
    for ticket, size in zip(tickets, (5000, 900, 900), strict=True):
        assert agent.answer(pb.Result(ticket=ticket, outcome="OK", payload=b"x" * size))
    reasons = {s.ticket: s.result.problem.reason for s in carry(agent, centre)}  # type: ignore[union-attr]
    assert reasons == {tickets[0]: "BACKEND_FAILED", tickets[1]: "", tickets[2]: "RATE_LIMITED"}


def test_another_epoch_means_nothing() -> None:
    centre, agent = joined(epoch=7)
    ticket = ask(centre)
    for epoch in (0, 6, 8):
        old = pb.AgentEnvelope(epoch=epoch, result=pb.Result(ticket=ticket, outcome="OK"))
        assert centre.receive(frame(old), 1.0) == []
        stale = pb.CentreEnvelope(epoch=epoch, command=pb.Command(ticket=9, body=b"b"))
        assert agent.receive(frame(stale), 1.0) == []
    assert centre.outstanding == 1
    assert agent.outstanding == 0
    assert centre.ignored == agent.ignored == 3


def test_another_epochs_envelopes_are_no_sign_of_life() -> None:
    centre, _ = joined(epoch=7)
    centre.receive(frame(pb.AgentEnvelope(epoch=6, heartbeat=pb.Heartbeat(counter=1))), 23.0)
    assert isinstance(centre.tick(24.0)[-1], Closed)


@pytest.mark.parametrize("epoch", [0, 6, 7])
def test_an_agent_follows_no_older_hub(epoch: int) -> None:
    agent = AgentEnd(TERMS, pb.Hello(), 0.0, floor=7)
    welcome = pb.CentreEnvelope(epoch=epoch, welcome=pb.Welcome(epoch=epoch, version=1))
    closed = only(agent.receive(frame(welcome), 0.0))
    assert isinstance(closed, Closed)
    assert closed.ending is Ending.STALE_EPOCH


@pytest.mark.parametrize(
    ("agent_versions", "centre_versions", "spoken"),
    [
        ((1, 1), (1, 1), 1),
        ((1, 3), (2, 2), 2),
        ((2, 5), (1, 3), 3),
        ((1, 1), (2, 2), None),
        ((3, 4), (1, 2), None),
    ],
)
def test_versions(agent_versions: tuple[int, int], centre_versions: tuple[int, int], spoken: int | None) -> None:
    agent = AgentEnd(Terms(*agent_versions), pb.Hello(), 0.0)
    centre = CentreEnd(Terms(*centre_versions), 0.0)
    output = only(carry(agent, centre))
    if spoken is not None:
        assert isinstance(output, Greeted)
        assert output.version == spoken
        return
    assert isinstance(output, Closed)
    assert output.ending is Ending.VERSION
    refused = only(carry(centre, agent))
    assert isinstance(refused, Closed)
    assert refused.ending is Ending.REFUSED
    assert "version" in refused.message


def test_the_first_word_must_be_hello() -> None:
    centre = CentreEnd(TERMS, 0.0)
    closed = only(centre.receive(frame(pb.AgentEnvelope(event=pb.Event(kind="workspace.reported"))), 0.0))
    assert isinstance(closed, Closed)
    assert closed.ending is Ending.PROTOCOL
    assert not centre.welcome(1, "s", 1, 0.0)


def test_a_handshake_has_a_deadline_on_both_sides() -> None:
    for end in (CentreEnd(TERMS, 100.0), AgentEnd(TERMS, pb.Hello(), 100.0)):
        assert end.deadline() == 110.0
        assert not end.tick(109.9)
        closed = end.tick(110.0)[-1]
        assert isinstance(closed, Closed)
        assert closed.ending is Ending.HELLO_DEADLINE


def test_nothing_but_a_hello_is_sent_or_taken_before_the_welcome() -> None:
    centre, agent = CentreEnd(TERMS, 0.0), AgentEnd(TERMS, pb.Hello(), 0.0)
    agent.report("w", pb.Event(kind="workspace.reported", payload=b"1"))
    with pytest.raises(FacilityUnavailable):
        ask(centre)
    assert isinstance(only(carry(agent, centre)), Greeted)
    with pytest.raises(FacilityUnavailable):
        ask(centre)
    centre.welcome(1, "s", 1, 0.0)
    carry(centre, agent)
    reported = only(carry(agent, centre))
    assert isinstance(reported, Reported), "what happened meanwhile is not lost"


def test_signs_of_life_keep_a_session_and_silence_ends_it() -> None:
    centre, agent = joined()
    for now in (8.0, 16.0, 24.0, 32.0, 40.0):
        assert centre.deadline() <= now
        centre.tick(now)
        agent.tick(now)
        assert carry(centre, agent, now) == carry(agent, centre, now) == []
    assert centre.closed is agent.closed is None
    for end in (centre, agent):
        assert not end.tick(63.9)
        closed = end.tick(64.0)[-1]
        assert isinstance(closed, Closed)
        assert closed.ending is Ending.SILENT


def test_heartbeats_echo_and_do_not_pile_up() -> None:
    centre, agent = joined()
    centre.tick(8.0)
    carry(centre, agent, 8.5)
    for now in (9.0, 17.0, 25.0):
        agent.tick(now)
    (beat,) = sent(agent, pb.AgentEnvelope)
    assert (beat.heartbeat.counter, beat.heartbeat.echo, beat.heartbeat.held_ms) == (3, 1, 16_500)


@pytest.mark.parametrize("every_ms", [0, 1, 2**32 - 1])
def test_a_hub_cannot_make_an_agent_spin_or_sleep(every_ms: int) -> None:
    agent = AgentEnd(TERMS, pb.Hello(), 0.0)
    agent.next_frame()
    welcome = pb.Welcome(epoch=1, version=1, heartbeat_ms=every_ms, dead_after_ms=every_ms)
    agent.receive(frame(pb.CentreEnvelope(epoch=1, welcome=welcome)), 0.0)
    assert 0.05 <= agent.deadline() <= 60.0


def test_a_bad_envelope_is_rejected_and_the_stream_goes_on() -> None:
    centre, agent = joined()
    ticket = ask(centre)
    carry(centre, agent)
    good = pb.AgentEnvelope(epoch=7, result=pb.Result(ticket=ticket, outcome="OK")).SerializeToString()
    oversized = b"\x0a" + b"x" * (TERMS.envelope_bytes + 1)
    problem = pb.Problem(reason="X", metadata={str(n): "" for n in range(20_000)})
    bomb = pb.AgentEnvelope(epoch=7, result=pb.Result(ticket=1, problem=problem)).SerializeToString()
    outputs = centre.receive(b"".join(delimited(1, e) for e in (b"\xff\xff", oversized, bomb, good)), 0.0)
    assert [type(output) for output in outputs] == [Settled]
    assert [e.reject.reason for e in sent(centre, pb.CentreEnvelope)] == [
        "INVALID_REQUEST",
        "OVERSIZED",
        "INVALID_REQUEST",
    ]


def test_who_only_sends_rubbish_is_cut_off() -> None:
    centre, _ = joined()
    outputs: Sequence[Output] = ()
    for _ in range(20):
        outputs = centre.receive(delimited(1, b"\xff"), 0.0) or outputs
    closed = outputs[-1]
    assert isinstance(closed, Closed)
    assert closed.ending is Ending.FLOODED


@pytest.mark.parametrize("data", [b"\xff", delimited(1, b"") * 65, b"\x0a\x00" * 1_000_000])
def test_a_broken_frame_ends_the_session(data: bytes) -> None:
    centre, agent = joined()
    closed = centre.receive(data, 0.0)[-1]
    assert isinstance(closed, Closed)
    assert closed.ending is Ending.PROTOCOL
    told = only(carry(centre, agent))
    assert isinstance(told, Closed)
    assert told.ending is Ending.REFUSED


def test_unknown_bodies_and_fields_are_ignored() -> None:
    centre, agent = joined()
    unknown = delimited(1, b"\x08\x07" + b"\xf2\x01\x01x")
    assert centre.receive(unknown + b"\x7a\x01x", 0.0) == []
    assert agent.receive(unknown + b"\x7a\x01x", 0.0) == []
    assert centre.closed is agent.closed is None
    assert sent(centre, pb.CentreEnvelope) == sent(agent, pb.AgentEnvelope) == []


def test_an_unknown_critical_extension_is_rejected_and_nothing_happens() -> None:
    centre, agent = joined()
    ticket = ask(centre)
    data = centre.next_frame()
    assert data is not None
    envelope = pb.CentreEnvelope.FromString(pieces(data, 1, 1)[0])
    envelope.critical.append("teleport")
    assert agent.receive(frame(envelope), 0.0) == []
    assert agent.outstanding == 0
    settled = only(carry(agent, centre))
    assert isinstance(settled, Settled)
    assert settled.ticket == ticket
    assert isinstance(settled.result, ParasolError)
    assert settled.result.reason == "UNSUPPORTED"


def test_a_reject_is_never_answered_by_a_reject() -> None:
    centre, agent = joined()
    for reject in (pb.Reject(reason="INVALID_REQUEST"), pb.Reject(reason="X", ticket=55)):
        assert centre.receive(frame(pb.AgentEnvelope(epoch=7, reject=reject)), 0.0) == []
        assert agent.receive(frame(pb.CentreEnvelope(epoch=7, reject=reject)), 0.0) == []
    assert centre.next_frame() is agent.next_frame() is None


def test_a_ticket_that_is_open_is_not_taken_twice() -> None:
    _, agent = joined()
    command = frame(pb.CentreEnvelope(epoch=7, command=pb.Command(ticket=1, body=b"b")))
    assert len(agent.receive(command + command, 0.0)) == 1
    assert agent.receive(frame(pb.CentreEnvelope(epoch=7, command=pb.Command(body=b"b"))), 0.0) == []


def test_a_draining_hub_takes_asks_until_it_finishes_and_answers_until_its_end() -> None:
    centre, agent = joined()
    first = ask(centre)
    centre.drain(2.0, 3.0)
    second = ask(centre)
    outputs = carry(centre, agent)
    assert outputs[0] == PeerDrains(2.0, 3.0)
    assert [c.ticket for c in outputs if isinstance(c, CommandArrived)] == [first, second]
    centre.finish()
    assert not centre.ready
    with pytest.raises(FacilityUnavailable):
        ask(centre)
    assert carry(centre, agent) == []
    for ticket in (first, second):
        agent.answer(pb.Result(ticket=ticket, outcome="OK"))
    assert len(carry(agent, centre)) == 2
    assert agent.lose("gone")[-1] == Closed(Ending.LOST, "gone", 3.0)


def test_a_draining_agent_is_asked_nothing_more() -> None:
    centre, agent = joined()
    agent.drain(2.0)
    assert carry(agent, centre) == [PeerDrains(2.0)]
    with pytest.raises(FacilityUnavailable):
        ask(centre)


def test_what_was_not_asked_is_counted_and_answers_are_not() -> None:
    centre, agent = joined()
    before = centre.unasked
    tickets = [ask(centre) for _ in range(3)]
    carry(centre, agent)
    for ticket in tickets:
        agent.answer(pb.Result(ticket=ticket, outcome="OK", payload=b"x" * 40_000))
    carry(agent, centre)
    assert centre.unasked == before
    event = pb.AgentEnvelope(epoch=7, event=pb.Event(kind="x", payload=b"x" * 40_000))
    centre.receive(frame(event, event), 0.0)
    centre.receive(b"", 0.0)
    assert centre.unasked == before + 2 * 3 + 1
