"""The hub's end: lets an agent in, asks, delivers orders, and settles every ask exactly once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from shared.errors import DeadlineExceeded, FacilityUnavailable, InvalidRequest, ParasolError, RateLimited
from shared.limits import LIMITS
from shared.link.asks import Asks
from shared.link.end import End, Phase
from shared.link.outbox import FULL, Lane
from shared.link.outputs import (
    Ending,
    Greeted,
    LogWord,
    OrderAccepted,
    OrderSettled,
    Output,
    PeerDrains,
    Reported,
    Settled,
)
from shared.link.terms import Terms
from shared.link.windows import Window, granted
from shared.wire import text
from shared.wire.commands import BODY_BYTES, GRANT_ID, MAC_BYTES, is_command_id
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.status import decode_problem, error_of

_LONGEST_WAIT = 600.0
_HASH_BYTES = 32


class CentreEnd(End[pb.AgentEnvelope]):
    """One session as the hub sees it.

    Every ticket that `ask` gives is settled by exactly one `Settled`. Orders are rows of the owner's:
    it delivers them in each session again until their `OrderSettled` is committed. `on_log_word` is told what each
    heartbeat says of the agent's egress log, and each of the hub's asks for the record `log_asked`; 0 asks nothing.
    """

    _incoming = pb.AgentEnvelope

    def __init__(self, terms: Terms, now: float) -> None:
        super().__init__(terms, now)
        self._greeted = False
        self._finishing = False
        self._asks = Asks(terms)
        self._orders = Window(0)
        self._accepted: dict[str, None] = {}
        self.on_log_word: Callable[[LogWord], None] = lambda word: None
        self.log_asked: Callable[[], int] = lambda: 0
        self._results = Window(terms.result_credits)

    @property
    def ready(self) -> bool:
        """Whether it takes asks and orders."""
        return self.phase is Phase.OPEN and not self._finishing

    @property
    def outstanding(self) -> int:
        """Asks that are not settled."""
        return len(self._asks)

    @property
    def order_room(self) -> int:
        """How many more orders may be delivered now."""
        return self._orders.room if self.ready else 0

    def waited(self, now: float) -> float:
        """For how long the oldest ask has been waiting for a credit of the agent's, in seconds."""
        return self._asks.waited(now)

    def waiting(self, lane: Lane) -> int:
        """Also the asks without a credit."""
        return super().waiting(lane) + (self._asks.waiting if lane is Lane.QUERY else 0)

    def welcome(self, epoch: int, session_id: str, version: int, now: float, *, reconcile: bool = False) -> bool:
        """Lets the agent in. False when the session ended meanwhile."""
        if self.phase is not Phase.HANDSHAKE or not self._greeted:
            return False
        self._open(epoch, now)
        word = pb.Welcome(
            session_id=session_id,
            epoch=epoch,
            version=version,
            heartbeat_ms=int(self._every * 1000),
            dead_after_ms=int(self._silence * 1000),
            result_credits=self.terms.result_credits,
            reconcile=reconcile,
        )
        return self._outbox.control("welcome", self._envelope(welcome=word))

    def ask(
        self, body: bytes, grant_id: str, mac: bytes, timeout_s: float, now: float, traceparent: str = ""
    ) -> int:
        """Queue a query and return its ticket.

        Raises FacilityUnavailable when the session takes none, RateLimited (with `retry_after_ms`) when
        too many wait, InvalidRequest for a body, grant or MAC that no agent would read. Then nothing was
        queued.
        """
        self._may_send(body, grant_id, mac)
        if not 0 < timeout_s <= _LONGEST_WAIT:
            raise InvalidRequest("A command waits for at most ten minutes.")
        command = pb.Command(body=body, grant_id=grant_id, mac=mac)
        ticket = self._asks.add(command, text.traceparent(traceparent), now, timeout_s)
        self._now = now
        self._send_asks()
        return ticket

    def _heard_sign(self, beat: pb.Heartbeat) -> None:
        said = len(beat.egress_hash) == _HASH_BYTES
        head = (min(beat.egress_sequence, text.LARGEST), beat.egress_hash) if said else (0, b"")
        self.on_log_word(
            LogWord(*head, min(beat.egress_asked, text.LARGEST), beat.egress_asked_hash[:_HASH_BYTES])
        )

    def _sign(self, now: float) -> pb.Heartbeat:
        word = super()._sign(now)
        word.egress_asked = self.log_asked()
        return word

    def forget(self, ticket: int) -> None:
        """Nobody waits for this ticket any more: no `Settled` follows, a late answer is ignored."""
        if self._asks.forget(ticket):
            self._take_back(ticket)
            self._send_asks()

    def order(
        self, order_id: str, body: bytes, grant_id: str, mac: bytes, now: float, traceparent: str = ""
    ) -> None:
        """Queue an order; one that is out in this session is sent again under the credit that it has.

        Raises FacilityUnavailable when the session takes none, RateLimited when no credit is left,
        InvalidRequest for what no agent would read. Then nothing was queued.
        """
        self._may_send(body, grant_id, mac)
        if not is_command_id(order_id):
            raise InvalidRequest("An order has an id of at most 64 characters.")
        if order_id not in self._orders and not self._orders.room:
            raise RateLimited(FULL)
        word = pb.Order(order_id=order_id, body=body, grant_id=grant_id, mac=mac)
        envelope = self._envelope(order=word, traceparent=text.traceparent(traceparent))
        self._outbox.put(Lane.ORDER, order_id, envelope)
        self._orders.take(order_id)
        self._now = now

    def acknowledge(self, order_id: str) -> None:
        """The result that `OrderSettled` brought is committed; the agent may forget it."""
        if self.phase is Phase.OPEN and self._results.give_back(order_id):
            word = self._envelope(acknowledged=pb.Acknowledged(order_id=order_id))
            self._outbox.must(Lane.CONTROL, ("acknowledged", order_id), word)

    def tick(self, now: float) -> Sequence[Output]:
        """Also settles the asks whose time is over; what was not written yet is taken back."""
        out: list[Output] = []
        for ticket in self._asks.expire(now):
            self._take_back(ticket)
            out.append(Settled(ticket, DeadlineExceeded()))
        out += super().tick(now)
        self._send_asks()
        return out

    def deadline(self) -> float:
        """Also the first deadline of an ask."""
        return min(self._asks.deadline(), super().deadline())

    def waits_for(self, ticket: int) -> bool:
        """Whether this ask is out at the agent."""
        return ticket in self._asks.window

    def answered_beside(self, result: pb.Result) -> Sequence[Output]:
        """The answer to one ask, which came another way than by the stream."""
        return self._settle(result.ticket, result) if self.phase is Phase.OPEN else ()

    def finish(self) -> None:
        """Takes no more asks and orders; what is under way may still be answered."""
        self._finishing = True

    def _envelope(self, **body: Any) -> bytes:
        return pb.CentreEnvelope(epoch=self.epoch, **body).SerializeToString()

    def _may_send(self, body: bytes, grant_id: str, mac: bytes) -> None:
        if not self.ready:
            raise FacilityUnavailable
        if len(body) > BODY_BYTES or len(grant_id) > GRANT_ID or len(mac) > MAC_BYTES:
            raise InvalidRequest("The command is too large.")

    def _send_asks(self) -> None:
        while self.phase is Phase.OPEN and (ask := self._asks.next(self._now)) is not None:
            envelope = self._envelope(command=ask.command, traceparent=ask.traceparent)
            self._outbox.must(Lane.QUERY, ask.command.ticket, envelope)

    def _take_back(self, ticket: int) -> None:
        if self._outbox.withdraw(Lane.QUERY, ticket):
            self._asks.withdrawn(ticket)

    def _greet(self, envelope: pb.AgentEnvelope, now: float) -> Sequence[Output]:
        if self._greeted:
            self.ignored += 1
            return ()
        if envelope.WhichOneof("body") != "hello":
            return self.close(Ending.PROTOCOL, "The first word must be Hello.", tell=True)
        hello, most = envelope.hello, self.terms.queue_envelopes
        version = min(hello.version_max, self.terms.version_max)
        if version < max(hello.version_min, self.terms.version_min):
            return self.close(Ending.VERSION, "Agent and hub speak no common version of the link.", tell=True)
        self._greeted = True
        self._asks.window.size = granted(hello.query_credits, LIMITS.credits_query, most)
        self._orders.size = granted(hello.order_credits, LIMITS.credits_order, most)
        return (Greeted(hello, version),)

    def _handle(self, envelope: pb.AgentEnvelope, now: float) -> Sequence[Output]:
        body = envelope.WhichOneof("body")
        if body == "result":
            return self._settle(envelope.result.ticket, envelope.result)
        if body == "accepted":
            return self._accept(envelope.accepted.order_id)
        if body == "order_result":
            return self._order_settled(envelope.order_result)
        if body == "event":
            return (Reported(envelope.event),)
        if body == "drain":
            self.finish()
            drain = envelope.drain
            return (PeerDrains(drain.deadline_ms / 1000, drain.reconnect_after_ms / 1000),)
        if body == "reject":
            return self._rejected(envelope.reject)
        self.ignored += 1
        return ()

    def _accept(self, order_id: str) -> Sequence[Output]:
        if not self._orders.give_back(order_id):
            self.ignored += 1
            return ()
        self._answered = True
        self._accepted[order_id] = None
        if len(self._accepted) > self.terms.queue_envelopes:
            del self._accepted[next(iter(self._accepted))]
        return (OrderAccepted(order_id),)

    def _order_settled(self, result: pb.OrderResult) -> Sequence[Output]:
        order_id = result.order_id
        if not is_command_id(order_id):
            return self._reject("INVALID_REQUEST", "An order has an id of at most 64 characters.")
        if not self._results.take(order_id):
            return self._reject(RateLimited.reason, "Too many results wait for their Acknowledged.")
        waited_for = order_id in self._accepted
        self._accepted.pop(order_id, None)
        self._answered = self._orders.give_back(order_id) or waited_for
        return (OrderSettled(order_id, result),)

    def _rejected(self, reject: pb.Reject) -> Sequence[Output]:
        reason = text.reason(reject.reason)
        problem = decode_problem(
            pb.Problem(reason=reason, message=reject.message, retryable=reason == "RATE_LIMITED")
        )
        return self._settle(reject.ticket, error_of(problem))

    def _settle(self, ticket: int, result: pb.Result | ParasolError) -> Sequence[Output]:
        self._answered, waited_for = self._asks.answered(ticket)
        self._send_asks()
        if not waited_for:
            self.ignored += 1
            return ()
        return (Settled(ticket, result),)

    def _abandon(self) -> Sequence[Output]:
        self._orders.clear()
        self._accepted.clear()
        self._results.clear()
        return [Settled(ticket, FacilityUnavailable()) for ticket in self._asks.abandon()]
