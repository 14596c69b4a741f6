"""The agent's end: says Hello, takes queries and orders, gives each exactly one answer, reports facts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from shared.errors import BackendError, InvalidRequest, RateLimited
from shared.limits import LIMITS
from shared.link.end import End, Phase
from shared.link.outbox import Lane
from shared.link.outputs import (
    Closed,
    CommandArrived,
    Ending,
    LogWord,
    Opened,
    OrderAcknowledged,
    OrderArrived,
    Output,
    PeerDrains,
)
from shared.link.terms import Terms
from shared.link.windows import Window, granted
from shared.wire import text
from shared.wire.commands import is_command_id
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb

_LONGEST_PAUSE = 60.0
_TOO_LARGE = "The facility's answer is too large."


class AgentEnd(End[pb.CentreEnvelope]):
    """One session as the agent sees it.

    `floor` is the highest epoch that this agent has seen; a Welcome at or below it comes from a hub
    that is not the newest and ends the session. Results of orders are rows of the owner's: it settles
    them in each session again until their `OrderAcknowledged`. Each heartbeat says `log_word`; `on_asked` hears of each
    record of the egress log that the hub asks for.
    """

    _incoming = pb.CentreEnvelope

    def __init__(
        self, terms: Terms, hello: pb.Hello, now: float, floor: int = 0,
        log_word: Callable[[], LogWord] = LogWord,
    ) -> None:  # fmt: skip
        super().__init__(terms, now)
        self._floor, self._log_word = floor, log_word
        self.on_asked: Callable[[int], None] = lambda sequence: None
        self._open_tickets: set[int] = set()
        self._early: dict[str, pb.Event] = {}
        self._orders = Window(terms.order_credits)
        self._results = Window(0)
        self._answers: dict[str, bytes] = {}  # to orders that were not accepted, until they are acknowledged
        self._finishing = False
        hello.version_min, hello.version_max = terms.version_min, terms.version_max
        hello.query_credits, hello.order_credits = terms.query_credits, terms.order_credits
        first = self._envelope(hello=hello)
        if len(first) > terms.envelope_bytes:
            raise InvalidRequest("The facility's description and inventory are too large to be sent.")
        self._outbox.control("hello", first)

    @property
    def outstanding(self) -> int:
        """Queries that have no answer yet."""
        return len(self._open_tickets)

    @property
    def result_room(self) -> int:
        """How many more results of orders may be sent now."""
        return self._results.room if self.phase is Phase.OPEN else 0

    def answer(self, result: pb.Result) -> bool:
        """Queue the answer to its ticket; False when the ticket is not open (any more).

        An answer that does not fit is replaced by a refusal, never dropped.
        """
        ticket = result.ticket
        if self.phase is not Phase.OPEN or ticket not in self._open_tickets:
            return False
        self._open_tickets.remove(ticket)
        envelope = self._envelope(result=result)
        if not self._fits(envelope):
            self._refuse(ticket, BackendError.reason, _TOO_LARGE)
            return True
        try:
            self._outbox.put(Lane.QUERY, ticket, envelope)
        except RateLimited as error:
            self._refuse(ticket, error.reason, error.message)
        return True

    def accept(self, order_id: str) -> bool:
        """The order is stored: tell the hub. False when it did not arrive in this session, or was answered."""
        if self.phase is not Phase.OPEN or order_id in self._answers or not self._orders.give_back(order_id):
            return False
        word = self._envelope(accepted=pb.Accepted(order_id=order_id))
        self._outbox.must(Lane.CONTROL, ("accepted", order_id), word)
        return True

    def settle(self, result: pb.OrderResult) -> bool:
        """Queue the result of an order; False when it cannot be sent now, and the owner tries again later.

        The answer to an order of this session that was not accepted is always taken, since a refusal is
        stored nowhere: it waits here for its credit, and is the only one that this session gives. A result
        that waits for its Acknowledged is sent again only when its order came again. One that does not
        fit is replaced by a refusal, never dropped.
        """
        order_id = result.order_id
        if self.phase is not Phase.OPEN:
            return False
        if order_id in self._answers or (order_id in self._results and order_id not in self._orders):
            return True
        envelope = self._envelope(order_result=result)
        if not self._fits(envelope):
            problem = pb.Problem(reason=BackendError.reason, message=_TOO_LARGE)
            refused = pb.OrderResult(order_id=order_id, outcome="FAILED", problem=problem)
            envelope = self._envelope(order_result=refused)
        if order_id in self._orders:
            self._answers[order_id] = envelope
            self._send_result(order_id, envelope)
            return True
        return self._send_result(order_id, envelope)

    def finish(self) -> None:
        """A newer session is open: it brings the orders, here they are passed over; the rest goes on."""
        self._finishing = True

    def report(self, key: str, event: pb.Event) -> None:
        """Queue a fact; one that still waits under the same key is replaced, since the newer says it all."""
        if self.phase is Phase.OPEN:
            self._outbox.fact(key, self._envelope(event=event))
        elif self.phase is Phase.HANDSHAKE:
            self._early[key] = event

    def _send_result(self, order_id: str, envelope: bytes) -> bool:
        if order_id not in self._results and not self._results.room:
            return False
        try:
            self._outbox.put(Lane.ORDER, order_id, envelope)
        except RateLimited:
            return False
        self._results.take(order_id)
        self._orders.give_back(order_id)
        return True

    def _envelope(self, **body: Any) -> bytes:
        return pb.AgentEnvelope(epoch=self.epoch, **body).SerializeToString()

    def _greet(self, envelope: pb.CentreEnvelope, now: float) -> Sequence[Output]:
        if envelope.WhichOneof("body") == "reject":
            return self._refused(envelope.reject)
        if envelope.WhichOneof("body") != "welcome":
            self.ignored += 1
            return ()
        welcome, terms = envelope.welcome, self.terms
        if not terms.version_min <= welcome.version <= terms.version_max:
            return self.close(Ending.VERSION, "The hub chose a version that was not offered.")
        if welcome.epoch <= self._floor or envelope.epoch != welcome.epoch:
            return self.close(Ending.STALE_EPOCH, "The hub's epoch is not newer than one already seen.")
        self._every = min(max(welcome.heartbeat_ms / 1000, terms.least_heartbeat), terms.most_heartbeat)
        self._silence = min(max(welcome.dead_after_ms / 1000, 2 * self._every), terms.most_silence)
        self._results.size = granted(welcome.result_credits, LIMITS.credits_result, terms.queue_envelopes)
        self._open(welcome.epoch, now)
        for key, event in self._early.items():
            self.report(key, event)
        self._early.clear()
        return (Opened(welcome.epoch, welcome.session_id, welcome.version, welcome.reconcile),)

    def _handle(self, envelope: pb.CentreEnvelope, now: float) -> Sequence[Output]:
        body = envelope.WhichOneof("body")
        if body == "command":
            return self._command(envelope.command, text.traceparent(envelope.traceparent))
        if body == "order":
            return self._order(envelope.order, text.traceparent(envelope.traceparent))
        if body == "acknowledged" and self._results.give_back(envelope.acknowledged.order_id):
            return self._acknowledged(envelope.acknowledged.order_id)
        if body == "drain":
            drain = envelope.drain
            self._reconnect_after = min(drain.reconnect_after_ms / 1000, _LONGEST_PAUSE)
            return (PeerDrains(drain.deadline_ms / 1000, self._reconnect_after),)
        if body == "reject" and envelope.reject.reason in Ending.__members__:
            return self._refused(envelope.reject)
        self.ignored += 1
        return ()

    def _command(self, command: pb.Command, traceparent: str) -> Sequence[Output]:
        ticket = command.ticket
        if ticket == 0 or ticket in self._open_tickets:
            self.ignored += 1
            return ()
        if len(self._open_tickets) >= self.terms.query_credits:
            return self._reject(RateLimited.reason, RateLimited.default_message, ticket)
        self._open_tickets.add(ticket)
        return (
            CommandArrived(
                ticket=ticket,
                body=command.body,
                grant_id=command.grant_id,
                mac=command.mac,
                timeout_s=command.timeout_ms / 1000,
                traceparent=traceparent,
            ),
        )

    def _order(self, order: pb.Order, traceparent: str) -> Sequence[Output]:
        if not is_command_id(order.order_id):
            return self._reject("INVALID_REQUEST", "An order has an id of at most 64 characters.")
        if self._finishing:
            self.ignored += 1
            return ()
        if not self._orders.take(order.order_id):
            return self._reject(RateLimited.reason, RateLimited.default_message)
        if order.order_id in self._answers:
            self._send_result(order.order_id, self._answers[order.order_id])
            return ()
        return (OrderArrived(order.order_id, order.body, order.grant_id, order.mac, traceparent),)

    def _acknowledged(self, order_id: str) -> Sequence[Output]:
        self._answers.pop(order_id, None)
        for waiting in [name for name in self._answers if name in self._orders]:
            self._send_result(waiting, self._answers[waiting])
        return (OrderAcknowledged(order_id),)

    def _sign(self, now: float) -> pb.Heartbeat:
        word = super()._sign(now)
        said = self._log_word()
        word.egress_sequence, word.egress_hash = said.sequence, said.hash
        word.egress_asked, word.egress_asked_hash = said.asked, said.asked_hash
        return word

    def _heard_sign(self, beat: pb.Heartbeat) -> None:
        if beat.egress_asked:
            self.on_asked(min(beat.egress_asked, text.LARGEST))

    def _ticket(self, envelope: pb.CentreEnvelope) -> int:
        return envelope.command.ticket if envelope.WhichOneof("body") == "command" else 0

    def _refused(self, reject: pb.Reject) -> Sequence[Output]:
        return self.close(Ending.REFUSED, reject.message[:200], told=text.reason(reject.reason))

    def _refuse(self, ticket: int, reason: str, message: str) -> None:
        problem = pb.Problem(reason=reason, message=message, retryable=reason == RateLimited.reason)
        small = pb.Result(ticket=ticket, outcome="FAILED", problem=problem)
        self._outbox.must(Lane.QUERY, ticket, self._envelope(result=small))

    def _abandon(self) -> Sequence[Closed]:
        self._open_tickets.clear()
        self._early.clear()
        self._orders.clear()
        self._results.clear()
        self._answers.clear()
        return ()
