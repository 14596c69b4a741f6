"""What agent and hub say to each other in the recordings: who speaks, and what makes it speak."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from shared.commands import Answer, Problem, Verb
from shared.errors import QuotaExceeded
from shared.facilities import Outcome
from shared.link.agent_end import AgentEnd
from shared.link.centre_end import CentreEnd
from shared.link.outputs import Ending, LogWord
from shared.link.terms import Terms
from shared.wire.commands import encode_answer
from shared.wire.events import encode_event
from shared.wire.facilities import encode_description
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.orders import encode_order_result
from shared.wire.raw import delimited
from shared.wire.workspaces import encode_inventory
from tests.corpus.samples import (
    DESCRIPTION,
    INVENTORY,
    ORDERS,
    PAYLOADS,
    REPORT,
    RESTORED,
    STOPPED,
    TRACE,
    WORKSPACE,
    body,
)

TERMS = Terms(query_credits=8, order_credits=4, result_credits=4)
EPOCH = 7
QUERIES = (Verb.REDEEM, Verb.RELEASE, Verb.SEARCH, Verb.GET, Verb.FILES, Verb.PROPOSALS, Verb.CHANGES)
ORDERED = (Verb.LAUNCH, Verb.STOP, Verb.UNLINK, Verb.RESTORE)
MAC = bytes(range(32))


@dataclass(frozen=True, slots=True)
class Step:
    """One frame: `who` does something at an instant, or says bytes that its end would not say."""

    name: str
    who: str
    at: float
    do: Callable[[Any], object] = lambda end: None
    raw: bytes = b""


def ends() -> dict[str, Any]:
    """Both ends before their first word."""
    hello = pb.Hello(
        facility_id="alpha",
        instance_id="instance-1",
        store_id="store-1",
        boot_counter=3,
        software_version="0.2.0",
        description=encode_description(DESCRIPTION),
        inventory=encode_inventory(INVENTORY),
        certificate_s=86_400,
        previous_ending=Ending.SILENT.value,
    )
    centre = CentreEnd(TERMS, 0.0)
    centre.log_asked = lambda: 11
    return {"agent": AgentEnd(TERMS, hello, 0.0, log_word=lambda: LogWord(12, MAC, 11, MAC)), "centre": centre}


def session() -> Iterator[Step]:
    """A session in which everything is said once."""
    yield Step("hello", "agent", 0.0)
    yield Step("welcome", "centre", 0.1, lambda end: end.welcome(EPOCH, "session-1", 1, 0.1, reconcile=True))
    yield Step("facts", "agent", 0.2, _report)
    yield Step("queries", "centre", 0.3, _ask)
    yield Step("answers", "agent", 0.4, _answer)
    yield Step("orders", "centre", 0.5, _order)
    yield Step("accepted", "agent", 0.6, lambda end: [end.accept(WORKSPACE), end.accept(ORDERS[0])])
    yield Step("order-results", "agent", 0.7, _settle)
    yield Step("acknowledged", "centre", 0.8, lambda end: [end.acknowledge(i) for i in (WORKSPACE, *ORDERS)])
    yield Step("centre-heartbeat", "centre", 8.2, lambda end: end.tick(8.2))
    yield Step("agent-heartbeat", "agent", 8.5, lambda end: end.tick(8.5))
    yield Step("centre-reject", "centre", 8.6, lambda end: end.receive(delimited(1, b"\xff"), 8.6))
    yield Step("query-too-many", "centre", 8.7, raw=_one_too_many())
    yield Step("agent-reject", "agent", 8.8)
    yield Step("later-version", "centre", 8.9, raw=_later(pb.CentreEnvelope(epoch=EPOCH, critical=["teleport"])))
    yield Step("unsupported", "agent", 9.0)
    yield Step("centre-drain", "centre", 9.1, lambda end: end.drain(5.0, 1.5))
    yield Step("agent-drain", "agent", 9.2, lambda end: end.drain(2.0, 0.5))
    yield Step("last-word", "centre", 9.3, lambda end: end.close(Ending.DRAINED, "The hub stops.", tell=True))


def refused() -> Iterator[Step]:
    """A session that ends before it began."""
    yield Step("hello", "agent", 0.0)
    words = "This agent is quarantined; ask the federation's operator."
    yield Step("quarantined", "centre", 0.1, lambda end: end.close(Ending.QUARANTINED, words, tell=True))


def later() -> Iterator[Step]:
    """What a later version may say and this one passes over."""
    yield Step("hello", "agent", 0.0)
    yield Step("welcome", "centre", 0.1, lambda end: end.welcome(EPOCH, "session-1", 1, 0.1))
    traced = pb.AgentEnvelope(epoch=EPOCH, traceparent=TRACE)
    yield Step("unknown-body", "agent", 0.2, raw=_later(traced))
    yield Step("unknown-critical", "agent", 0.3, raw=_later(pb.AgentEnvelope(epoch=EPOCH, critical=["teleport"])))


CONVERSATIONS: dict[str, Callable[[], Iterator[Step]]] = {"session": session, "refused": refused, "later": later}


def speak(step: Step, end: Any) -> bytes:
    """The frame of a step, made by the end that speaks."""
    step.do(end)
    frame: bytes | None = step.raw or end.next_frame()
    assert frame is not None, f"{step.name}: nothing was said"
    assert step.raw or end.next_frame() is None, f"{step.name}: more than one frame"
    return frame


def _report(end: AgentEnd) -> None:
    end.report(*encode_event(DESCRIPTION))
    end.report(*encode_event(REPORT))
    end.report(*encode_event(RESTORED))


def _ask(end: CentreEnd) -> None:
    for number, verb in enumerate(QUERIES):
        end.ask(body(verb, f"command-{number}"), "grant-1", MAC, 5.0, 0.3, TRACE)


def _answer(end: AgentEnd) -> None:
    for ticket, verb in enumerate(QUERIES, start=1):
        good = Answer(Outcome.OK, PAYLOADS[verb])
        end.answer(
            encode_answer(
                ticket,
                verb,
                replace(good, outcome=Outcome.PARTIAL, problem=_problem()) if verb is Verb.GET else good,
            )
        )


def _order(end: CentreEnd) -> None:
    for order_id, verb in zip((WORKSPACE, *ORDERS), ORDERED, strict=True):
        end.order(order_id, body(verb, order_id), "grant-1", MAC, 0.5, TRACE)


def _settle(end: AgentEnd) -> None:
    end.settle(encode_order_result(WORKSPACE, Verb.LAUNCH, Answer(Outcome.OK, REPORT)))
    end.settle(encode_order_result(ORDERS[0], Verb.STOP, Answer(Outcome.OK, STOPPED)))
    end.settle(encode_order_result(ORDERS[1], Verb.UNLINK, Answer(Outcome.FAILED, None, _problem())))
    end.settle(encode_order_result(ORDERS[2], Verb.RESTORE, Answer(Outcome.OK, RESTORED)))


def _problem() -> Problem:
    return Problem(QuotaExceeded.reason, "Only 2 workspaces at a time.", retryable=True, metadata={"limit": "2"})


def _one_too_many() -> bytes:
    commands = [
        pb.CentreEnvelope(epoch=EPOCH, command=pb.Command(ticket=100 + number, timeout_ms=5000))
        for number in range(TERMS.query_credits + 1)
    ]
    return b"".join(delimited(1, envelope.SerializeToString()) for envelope in commands)


def _later(envelope: pb.AgentEnvelope | pb.CentreEnvelope) -> bytes:
    """With a body under a number that is free today."""
    return delimited(1, envelope.SerializeToString() + b"\xfa\x01\x01x")
