"""Orders, credits, acknowledgements and round trips, at the two ends."""

from __future__ import annotations

import pytest

from shared.errors import DeadlineExceeded, FacilityUnavailable, InvalidRequest, RateLimited
from shared.link.agent_end import AgentEnd
from shared.link.centre_end import CentreEnd
from shared.link.end import Phase
from shared.link.outbox import Lane
from shared.link.outputs import (
    Closed,
    CommandArrived,
    Ending,
    Greeted,
    Opened,
    OrderAccepted,
    OrderAcknowledged,
    OrderArrived,
    OrderSettled,
    Settled,
)
from shared.link.terms import Terms
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from tests.unit.test_link_ends import ask, carry, frame, joined, only, sent

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
FEW = Terms(query_credits=2, order_credits=2, result_credits=2, outstanding=5)


def order(centre: CentreEnd, order_id: str = "o1", body: bytes = b"body", traceparent: str = "") -> None:
    centre.order(order_id, body, "grant", b"mac", 0.0, traceparent)


def result(order_id: str = "o1", payload: bytes = b"") -> pb.OrderResult:
    return pb.OrderResult(order_id=order_id, outcome="OK", payload=payload)


def test_an_order_is_accepted_settled_and_acknowledged() -> None:
    centre, agent = joined()
    order(centre, traceparent=TRACE)
    assert only(carry(centre, agent)) == OrderArrived("o1", b"body", "grant", b"mac", TRACE)
    assert agent.accept("o1")
    assert only(carry(agent, centre)) == OrderAccepted("o1")
    assert agent.settle(result())
    assert only(carry(agent, centre)) == OrderSettled("o1", result())
    centre.acknowledge("o1")
    assert only(carry(centre, agent)) == OrderAcknowledged("o1")
    assert centre.unasked == 1, "the Hello alone was not asked for"
    assert centre.ignored == agent.ignored == 0


def test_a_refusal_needs_no_accepted() -> None:
    centre, agent = joined(agent_terms=FEW)
    order(centre)
    carry(centre, agent)
    assert centre.order_room == 1
    assert agent.settle(pb.OrderResult(order_id="o1", outcome="DENIED"))
    assert isinstance(only(carry(agent, centre)), OrderSettled)
    assert centre.order_room == 2
    assert not agent.accept("o1")


def test_a_credit_returns_with_accepted() -> None:
    centre, agent = joined(agent_terms=FEW)
    order(centre, "o1")
    order(centre, "o2")
    assert centre.order_room == 0
    with pytest.raises(RateLimited):
        order(centre, "o3")
    assert len(carry(centre, agent)) == 2
    agent.accept("o2")
    carry(agent, centre)
    assert centre.order_room == 1
    order(centre, "o3")
    assert only(carry(centre, agent)) == OrderArrived("o3", b"body", "grant", b"mac", "")


def test_an_order_that_is_out_may_be_sent_again_under_its_credit() -> None:
    centre, agent = joined(agent_terms=FEW)
    order(centre)
    order(centre)
    assert len(carry(centre, agent)) == 1, "one that still waits is not doubled"
    order(centre)
    assert len(carry(centre, agent)) == 1
    assert centre.order_room == 1
    assert agent.accept("o1")
    assert not agent.accept("o1")
    order(centre)
    carry(centre, agent)
    assert carry(agent, centre) == [OrderAccepted("o1")]
    assert agent.accept("o1"), "it came again, so it is answered again"


def test_orders_beyond_the_credits_are_not_taken() -> None:
    centre, agent = joined(agent_terms=FEW)
    words = [pb.CentreEnvelope(epoch=7, order=pb.Order(order_id=f"o{n}", body=b"b")) for n in range(4)]
    outputs = agent.receive(frame(*words), 0.0)
    assert [o.order_id for o in outputs if isinstance(o, OrderArrived)] == ["o0", "o1"]
    assert not agent.accept("o3")
    assert [e.reject.reason for e in sent(agent, pb.AgentEnvelope)] == ["RATE_LIMITED"] * 2
    assert centre.closed is agent.closed is None


def test_results_keep_to_the_hubs_credits_until_they_are_acknowledged() -> None:
    centre, agent = joined(terms=FEW)
    assert agent.result_room == 2
    assert [agent.settle(result(f"o{n}")) for n in range(3)] == [True, True, False]
    assert [o.order_id for o in carry(agent, centre) if isinstance(o, OrderSettled)] == ["o0", "o1"]
    assert agent.settle(result("o0")), "it was sent in this session and is not sent again"
    assert carry(agent, centre) == []
    centre.acknowledge("o0")
    centre.acknowledge("o0")
    assert carry(centre, agent) == [OrderAcknowledged("o0")]
    assert agent.result_room == 1
    assert agent.settle(result("o2"))
    assert len(carry(agent, centre)) == 1


def test_a_refusal_waits_for_its_credit_inside_the_end() -> None:
    centre, agent = joined(terms=FEW)
    assert agent.settle(result("o1"))
    assert agent.settle(result("o2"))
    order(centre, "o3")
    carry(centre, agent)
    refusal = pb.OrderResult(order_id="o3", outcome="DENIED")
    assert agent.settle(refusal), "stored nowhere, it must not be lost"
    assert not agent.accept("o3")
    assert len(carry(agent, centre)) == 2
    centre.acknowledge("o1")
    carry(centre, agent)
    assert only(carry(agent, centre)) == OrderSettled("o3", refusal)
    assert agent.result_room == 0


def test_a_session_gives_one_verdict_on_an_order() -> None:
    centre, agent = joined(terms=FEW)
    order(centre)
    carry(centre, agent)
    refusal = pb.OrderResult(order_id="o1", outcome="DENIED")
    agent.settle(refusal)
    assert agent.settle(result()), "what was said is said"
    order(centre)
    assert carry(centre, agent) == [], "nobody judges it again"
    assert not agent.accept("o1")
    assert carry(agent, centre) == [OrderSettled("o1", refusal)]
    order(centre)
    carry(centre, agent)
    assert carry(agent, centre) == [OrderSettled("o1", refusal)]
    centre.acknowledge("o1")
    carry(centre, agent)
    order(centre)
    assert len(carry(centre, agent)) == 1
    assert agent.accept("o1")


def test_orders_are_left_to_a_newer_session_and_the_rest_goes_on() -> None:
    centre, agent = joined()
    order(centre, "o1")
    carry(centre, agent)
    agent.finish()
    order(centre, "o2")
    ticket = ask(centre)
    assert [type(o) for o in carry(centre, agent)] == [CommandArrived]
    assert not agent.accept("o2")
    assert agent.accept("o1")
    assert agent.answer(pb.Result(ticket=ticket, outcome="OK"))
    assert agent.settle(result("o1"))
    assert [type(o) for o in carry(agent, centre)] == [OrderAccepted, OrderSettled, Settled]


def test_a_result_whose_order_came_again_is_sent_again() -> None:
    centre, agent = joined(terms=FEW)
    order(centre)
    carry(centre, agent)
    agent.settle(result())
    assert len(carry(agent, centre)) == 1
    order(centre)
    carry(centre, agent)
    assert agent.settle(result())
    assert only(carry(agent, centre)) == OrderSettled("o1", result())
    assert agent.result_room == 1


def test_an_agent_that_minds_no_credits_is_refused_and_nothing_is_kept() -> None:
    centre, _ = joined(terms=FEW)
    words = [pb.AgentEnvelope(epoch=7, order_result=result(f"o{n}")) for n in range(9)]
    outputs = centre.receive(frame(*words), 0.0)
    assert [o.order_id for o in outputs if isinstance(o, OrderSettled)] == ["o0", "o1"]
    assert centre.refusals == 7
    assert centre.unasked == 1 + 9


def test_what_was_not_ordered_is_not_accepted() -> None:
    centre, agent = joined()
    assert not agent.accept("o1")
    word = pb.AgentEnvelope(epoch=7, accepted=pb.Accepted(order_id="o1"))
    assert centre.receive(frame(word), 0.0) == []
    assert agent.receive(frame(pb.CentreEnvelope(epoch=7, acknowledged=pb.Acknowledged(order_id="o1"))), 0.0) == []
    assert centre.ignored == agent.ignored == 1


@pytest.mark.parametrize("order_id", ["", "a b", "x" * 65, "é", "o\n"])
def test_an_id_that_is_none_is_refused(order_id: str) -> None:
    centre, agent = joined()
    with pytest.raises(InvalidRequest):
        order(centre, order_id)
    assert carry(centre, agent) == []
    assert agent.receive(frame(pb.CentreEnvelope(epoch=7, order=pb.Order(order_id=order_id))), 0.0) == []
    assert centre.receive(frame(pb.AgentEnvelope(epoch=7, order_result=result(order_id))), 0.0) == []
    assert centre.refusals == agent.refusals == 1


def test_an_order_that_no_agent_would_read_is_refused() -> None:
    centre, agent = joined()
    with pytest.raises(InvalidRequest):
        order(centre, body=b"x" * 70_000)
    assert carry(centre, agent) == []
    assert centre.order_room == 16


@pytest.mark.parametrize(
    "broken",
    [
        pb.OrderResult(order_id="o1", outcome="OK", payload=b"x" * 5000),
        pb.OrderResult(order_id="o1", outcome="FAILED", problem=pb.Problem(message="x" * 20_000)),
    ],
)
def test_a_result_that_does_not_fit_becomes_a_refusal(broken: pb.OrderResult) -> None:
    size = 1000 if broken.payload else Terms().envelope_bytes
    centre, agent = joined(agent_terms=Terms(envelope_bytes=size))
    assert agent.settle(broken)
    settled = only(carry(agent, centre))
    assert isinstance(settled, OrderSettled)
    assert settled.order_id == "o1"
    assert (settled.result.outcome, settled.result.problem.reason) == ("FAILED", "BACKEND_FAILED")


def test_a_full_lane_keeps_a_result_with_its_owner() -> None:
    centre, agent = joined(agent_terms=Terms(queue_bytes=20))
    assert [agent.settle(result(name)) for name in ("o1", "o2")] == [True, False]
    assert agent.result_room == 63
    carry(agent, centre)
    assert agent.settle(result("o2"))


def test_nothing_is_ordered_or_settled_outside_an_open_session() -> None:
    centre, agent = CentreEnd(FEW, 0.0), AgentEnd(FEW, pb.Hello(), 0.0)
    with pytest.raises(FacilityUnavailable):
        order(centre)
    assert not agent.settle(result())
    assert not agent.accept("o1")
    assert centre.order_room == agent.result_room == 0
    centre, agent = joined()
    order(centre)
    carry(centre, agent)
    centre.lose("gone")
    agent.lose("gone")
    with pytest.raises(FacilityUnavailable):
        order(centre)
    centre.acknowledge("o1")
    assert not agent.settle(result())
    assert not agent.accept("o1")
    assert centre.order_room == agent.result_room == 0
    assert centre.next_frame() is agent.next_frame() is None


def test_a_hub_that_finishes_takes_no_orders_but_their_results() -> None:
    centre, agent = joined()
    order(centre)
    centre.finish()
    assert centre.order_room == 0
    with pytest.raises(FacilityUnavailable):
        order(centre, "o2")
    carry(centre, agent)
    agent.accept("o1")
    agent.settle(result())
    assert [type(o) for o in carry(agent, centre)] == [OrderAccepted, OrderSettled]


def test_the_lanes_in_order() -> None:
    centre, agent = joined()
    ask(centre, timeout=60.0)
    order(centre, "o1")
    order(centre, "o2")
    centre.tick(8.0)
    words = sent(centre, pb.CentreEnvelope)
    assert [w.WhichOneof("body") for w in words] == ["heartbeat", "order", "order", "command"]
    agent.receive(frame(*words), 8.0)
    agent.answer(pb.Result(ticket=1, outcome="OK"))
    agent.settle(result("o1"))
    agent.report("w", pb.Event(kind="workspace.reported"))
    agent.accept("o2")
    words = sent(agent, pb.AgentEnvelope)
    assert [w.WhichOneof("body") for w in words] == ["accepted", "event", "order_result", "result"]


def test_asks_beyond_the_agents_credits_wait_with_the_time_that_is_left() -> None:
    centre, agent = joined(terms=FEW, agent_terms=FEW)
    tickets = [ask(centre, timeout=5.0) for _ in range(4)]
    assert [c.ticket for c in carry(centre, agent) if isinstance(c, CommandArrived)] == tickets[:2]
    assert centre.waiting(Lane.QUERY) == 2
    assert centre.waited(1.5) == 1.5
    agent.answer(pb.Result(ticket=tickets[0], outcome="OK"))
    assert isinstance(only(carry(agent, centre, 2.0)), Settled)
    arrived = only(carry(centre, agent, 2.0))
    assert isinstance(arrived, CommandArrived)
    assert (arrived.ticket, arrived.timeout_s) == (tickets[2], 3.0)
    assert centre.outstanding == 3


def test_an_ask_too_many_is_told_when_to_try_again() -> None:
    centre, agent = joined(terms=FEW, agent_terms=FEW)
    for _ in range(5):
        ask(centre, timeout=3.0)
    with pytest.raises(RateLimited) as refused:
        ask(centre, now=1.0)
    assert refused.value.metadata == {"retry_after_ms": "2000"}
    assert len(carry(centre, agent)) == 2


def test_an_ask_that_expires_while_it_waits_is_never_sent() -> None:
    centre, agent = joined(terms=FEW, agent_terms=FEW)
    busy = [ask(centre, timeout=9.0) for _ in range(2)]
    third, fourth = ask(centre, timeout=1.0), ask(centre, timeout=9.0)
    carry(centre, agent)
    settled = only(centre.tick(1.0))
    assert isinstance(settled, Settled)
    assert settled.ticket == third
    assert isinstance(settled.result, DeadlineExceeded)
    agent.answer(pb.Result(ticket=busy[0], outcome="OK"))
    carry(agent, centre, 1.0)
    assert [c.ticket for c in carry(centre, agent) if isinstance(c, CommandArrived)] == [fourth]


def test_the_credit_of_a_timed_out_ask_stays_out_until_the_agent_answers_or_for_a_while() -> None:
    centre, agent = joined(terms=FEW, agent_terms=FEW)
    late = [ask(centre, timeout=1.0), ask(centre, timeout=1.0)]
    carry(centre, agent)
    centre.forget(late[0])
    assert len(centre.tick(1.0)) == 1
    waiting = [ask(centre, now=1.0, timeout=100.0) for _ in range(2)]
    assert carry(centre, agent) == [], "the agent still works on what nobody waits for"
    agent.answer(pb.Result(ticket=late[1], outcome="OK"))
    assert carry(agent, centre, 1.5) == []
    assert [c.ticket for c in carry(centre, agent) if isinstance(c, CommandArrived)] == waiting[:1]
    agent.tick(9.0)
    carry(agent, centre, 9.0)
    assert centre.deadline() <= 25.0
    centre.tick(25.0)
    assert [c.ticket for c in carry(centre, agent) if isinstance(c, CommandArrived)] == []
    assert agent.refusals == 1, "over its credits it says so, and the session goes on"
    assert isinstance(only(carry(agent, centre, 25.0)), Settled)
    assert centre.phase is agent.phase is Phase.OPEN


def test_a_ticket_that_was_not_sent_cannot_be_answered() -> None:
    centre, _ = joined(terms=FEW, agent_terms=FEW)
    tickets = [ask(centre) for _ in range(3)]
    word = pb.AgentEnvelope(epoch=7, result=pb.Result(ticket=tickets[2], outcome="OK"))
    assert centre.receive(frame(word), 0.0) == []
    assert centre.outstanding == 3


@pytest.mark.parametrize(("offered", "held"), [(0, (64, 16)), (1, (1, 1)), (2**32 - 1, (1024, 1024))])
def test_credits_have_a_default_and_a_bound(offered: int, held: tuple[int, int]) -> None:
    centre = CentreEnd(Terms(), 0.0)
    hello = pb.Hello(version_min=1, version_max=1, query_credits=offered, order_credits=offered)
    assert isinstance(only(centre.receive(frame(pb.AgentEnvelope(hello=hello)), 0.0)), Greeted)
    centre.welcome(1, "s", 1, 0.0)
    assert centre.order_room == held[1]
    for _ in range(held[0] + (held[0] < 1024)):
        ask(centre)
    words = [w.WhichOneof("body") for w in sent(centre, pb.CentreEnvelope)]
    assert words.count("command") == held[0]


@pytest.mark.parametrize(("offered", "room"), [(0, 64), (3, 3), (2**32 - 1, 1024)])
def test_result_credits_have_a_default_and_a_bound(offered: int, room: int) -> None:
    agent = AgentEnd(Terms(), pb.Hello(), 0.0)
    welcome = pb.Welcome(epoch=1, version=1, result_credits=offered, reconcile=True)
    (opened,) = agent.receive(frame(pb.CentreEnvelope(epoch=1, welcome=welcome)), 0.0)
    assert opened == Opened(1, "", 1, reconcile=True)
    assert agent.result_room == room


def test_the_centre_says_whether_to_reconcile() -> None:
    centre, agent = CentreEnd(Terms(), 0.0), AgentEnd(Terms(), pb.Hello(), 0.0)
    carry(agent, centre)
    assert centre.welcome(3, "s", 1, 0.0, reconcile=True)
    assert only(carry(centre, agent)) == Opened(3, "s", 1, reconcile=True)


@pytest.mark.parametrize(
    "bad", ["x", TRACE.upper(), TRACE + "0", TRACE.replace("00-", "ff-", 1), "00-" + "0" * 32 + TRACE[35:]]
)
def test_a_trace_that_is_none_is_left_out(bad: str) -> None:
    centre, agent = joined()
    for given in (bad, TRACE):
        centre.ask(b"b", "", b"", 5.0, 0.0, given)
    arrived = carry(centre, agent)
    assert [a.traceparent for a in arrived if isinstance(a, CommandArrived)] == ["", TRACE]
    word = pb.CentreEnvelope(epoch=7, traceparent=bad, order=pb.Order(order_id="o1"))
    assert only(agent.receive(frame(word), 0.0)) == OrderArrived("o1", b"", "", b"", "")


def test_heartbeats_measure_the_round_trip_and_lies_measure_nothing() -> None:
    centre, agent = joined()
    assert centre.rtt is None
    centre.tick(8.0)
    carry(centre, agent, 8.25)
    agent.tick(9.25)
    carry(agent, centre, 9.75)
    assert centre.rtt == pytest.approx(0.75)
    for echo, held_ms in ((0, 0), (99, 0), (1, 2**32 - 1)):
        beat = pb.Heartbeat(counter=50, echo=echo, held_ms=held_ms)
        centre.receive(frame(pb.AgentEnvelope(epoch=7, heartbeat=beat)), 10.0)
    assert centre.rtt == pytest.approx(0.75)
    assert agent.rtt is None


def test_envelopes_are_counted_by_class() -> None:
    centre, agent = joined()
    ask(centre)
    order(centre)
    carry(centre, agent)
    agent.report("w", pb.Event(kind="workspace.reported"))
    agent.accept("o1")
    carry(agent, centre)
    assert dict(centre.written) == {Lane.CONTROL: 1, Lane.ORDER: 1, Lane.QUERY: 1}
    assert dict(agent.received) == {Lane.ORDER: 1, Lane.QUERY: 1}
    assert dict(centre.received) == {Lane.CONTROL: 1, Lane.FACT: 1}


@pytest.mark.parametrize("opened", [True, False])
def test_an_agent_hears_that_it_is_quarantined(opened: bool) -> None:
    agent = joined()[1] if opened else AgentEnd(Terms(), pb.Hello(), 0.0)
    word = pb.Reject(reason="QUARANTINED", message="Ask the federation's operator.")
    closed = only(agent.receive(frame(pb.CentreEnvelope(epoch=agent.epoch, reject=word)), 0.0))
    assert closed == Closed(Ending.REFUSED, "Ask the federation's operator.", None, "QUARANTINED")


def test_other_epochs_orders_and_results_mean_nothing() -> None:
    centre, agent = joined()
    for epoch in (0, 6, 8):
        word = pb.CentreEnvelope(epoch=epoch, order=pb.Order(order_id="o1"))
        assert agent.receive(frame(word), 0.0) == []
        assert centre.receive(frame(pb.AgentEnvelope(epoch=epoch, order_result=result())), 0.0) == []
    assert not agent.accept("o1")
    assert centre.ignored == agent.ignored == 3
