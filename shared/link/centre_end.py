"""The hub's end: lets an agent in, asks, and settles every ask exactly once."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

from shared.errors import DeadlineExceeded, FacilityUnavailable, InvalidRequest, ParasolError, RateLimited
from shared.link.end import End, Phase
from shared.link.outputs import Ending, Greeted, Output, PeerDrains, Reported, Settled
from shared.link.terms import Terms
from shared.wire import text
from shared.wire.commands import BODY_BYTES, GRANT_ID, MAC_BYTES
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.status import decode_problem, error_of

_LONGEST_WAIT = 600.0


class CentreEnd(End[pb.AgentEnvelope]):
    """One session as the hub sees it. Every ticket that `ask` gives is settled by exactly one `Settled`."""

    _incoming = pb.AgentEnvelope

    def __init__(self, terms: Terms, now: float) -> None:
        super().__init__(terms, now)
        self._greeted = False
        self._draining = False
        self._last_ticket = 0
        self._asks: dict[int, float] = {}
        self._deadlines: list[tuple[float, int]] = []

    @property
    def ready(self) -> bool:
        """Whether it takes asks."""
        return self.phase is Phase.OPEN and not self._draining

    @property
    def outstanding(self) -> int:
        """Asks that are not settled."""
        return len(self._asks)

    def welcome(self, epoch: int, session_id: str, version: int, now: float) -> bool:
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
        )
        return self._outbox.control("welcome", self._envelope(welcome=word))

    def ask(self, body: bytes, grant_id: str, mac: bytes, timeout_s: float, now: float) -> int:
        """Queue a command and return its ticket.

        Raises FacilityUnavailable when the session takes none, RateLimited when too many wait,
        InvalidRequest for a body, grant or MAC that no agent would read. Then nothing was queued.
        """
        if not self.ready:
            raise FacilityUnavailable
        if len(body) > BODY_BYTES or len(grant_id) > GRANT_ID or len(mac) > MAC_BYTES:
            raise InvalidRequest("The command is too large.")
        if not 0 < timeout_s <= _LONGEST_WAIT:
            raise InvalidRequest("A command waits for at most ten minutes.")
        if len(self._asks) >= self.terms.outstanding:
            raise RateLimited("The facility has too much to do at the moment; try again shortly.")
        ticket = self._last_ticket + 1
        command = pb.Command(
            body=body, grant_id=grant_id, mac=mac, ticket=ticket, timeout_ms=max(1, int(timeout_s * 1000))
        )
        self._outbox.data(ticket, self._envelope(command=command))
        self._last_ticket = ticket
        self._asks[ticket] = now + timeout_s
        heapq.heappush(self._deadlines, (now + timeout_s, ticket))
        if len(self._deadlines) > 2 * len(self._asks) + self.terms.outstanding:
            self._deadlines = [(until, waiting) for waiting, until in self._asks.items()]
            heapq.heapify(self._deadlines)
        return ticket

    def forget(self, ticket: int) -> None:
        """Nobody waits for this ticket any more: no `Settled` follows, a late answer is ignored."""
        if self._asks.pop(ticket, None) is not None:
            self._outbox.withdraw(ticket)

    def tick(self, now: float) -> Sequence[Output]:
        """Also settles the asks whose time is over; what was not written yet is taken back."""
        out: list[Output] = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, ticket = heapq.heappop(self._deadlines)
            self._outbox.withdraw(ticket)
            out += self._settle(ticket, DeadlineExceeded())
        return [*out, *super().tick(now)]

    def deadline(self) -> float:
        """Also the first deadline of an ask."""
        while self._deadlines and self._deadlines[0][1] not in self._asks:
            heapq.heappop(self._deadlines)
        first = self._deadlines[0][0] if self._deadlines else float("inf")
        return min(first, super().deadline())

    def drain(self, deadline_s: float, reconnect_after_s: float = 0.0) -> None:
        """Also takes no more asks; those under way may still be answered."""
        super().drain(deadline_s, reconnect_after_s)
        self._draining = True

    def _envelope(self, **body: Any) -> bytes:
        return pb.CentreEnvelope(epoch=self.epoch, **body).SerializeToString()

    def _greet(self, envelope: pb.AgentEnvelope, now: float) -> Sequence[Output]:
        if self._greeted:
            self.ignored += 1
            return ()
        if envelope.WhichOneof("body") != "hello":
            return self.close(Ending.PROTOCOL, "The first word must be Hello.", tell=True)
        hello = envelope.hello
        version = min(hello.version_max, self.terms.version_max)
        if version < max(hello.version_min, self.terms.version_min):
            return self.close(Ending.VERSION, "Agent and hub speak no common version of the link.", tell=True)
        self._greeted = True
        return (Greeted(hello, version),)

    def _handle(self, envelope: pb.AgentEnvelope, now: float) -> Sequence[Output]:
        body = envelope.WhichOneof("body")
        if body == "result":
            return self._settle(envelope.result.ticket, envelope.result)
        if body == "event":
            return (Reported(envelope.event),)
        if body == "drain":
            self._draining = True
            return (PeerDrains(envelope.drain.deadline_ms / 1000),)
        if body == "reject":
            return self._rejected(envelope.reject)
        self.ignored += 1
        return ()

    def _rejected(self, reject: pb.Reject) -> Sequence[Output]:
        reason = text.reason(reject.reason)
        problem = decode_problem(
            pb.Problem(reason=reason, message=reject.message, retryable=reason == "RATE_LIMITED")
        )
        return self._settle(reject.ticket, error_of(problem))

    def _settle(self, ticket: int, result: pb.Result | ParasolError) -> Sequence[Output]:
        if self._asks.pop(ticket, None) is None:
            self.ignored += 1
            return ()
        return (Settled(ticket, result),)

    def _abandon(self) -> Sequence[Output]:
        lost = [Settled(ticket, FacilityUnavailable()) for ticket in self._asks]
        self._asks.clear()
        self._deadlines.clear()
        return lost
