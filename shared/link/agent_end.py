"""The agent's end: says Hello, takes commands, gives each exactly one answer, reports facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.errors import InvalidRequest, RateLimited
from shared.link.end import End, Phase
from shared.link.outputs import Closed, CommandArrived, Ending, Opened, Output, PeerDrains
from shared.link.terms import Terms
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb

_LONGEST_PAUSE = 60.0


class AgentEnd(End[pb.CentreEnvelope]):
    """One session as the agent sees it.

    `floor` is the highest epoch that this agent has seen; a Welcome at or below it comes from a hub
    that is not the newest and ends the session.
    """

    _incoming = pb.CentreEnvelope

    def __init__(self, terms: Terms, hello: pb.Hello, now: float, floor: int = 0) -> None:
        super().__init__(terms, now)
        self._floor = floor
        self._open_tickets: set[int] = set()
        self._early: dict[str, pb.Event] = {}
        hello.version_min, hello.version_max = terms.version_min, terms.version_max
        first = self._envelope(hello=hello)
        if len(first) > terms.envelope_bytes:
            raise InvalidRequest("The facility's description and inventory are too large to be sent.")
        self._outbox.control("hello", first)

    @property
    def outstanding(self) -> int:
        """Commands that have no answer yet."""
        return len(self._open_tickets)

    def answer(self, result: pb.Result) -> bool:
        """Queue the answer to its ticket; False when the ticket is not open (any more).

        An answer that does not fit is replaced by a refusal, never dropped.
        """
        ticket = result.ticket
        if self.phase is not Phase.OPEN or ticket not in self._open_tickets:
            return False
        self._open_tickets.remove(ticket)
        envelope = self._envelope(result=result)
        if len(envelope) > self.terms.envelope_bytes:
            self._refuse(ticket, "BACKEND_FAILED", "The facility's answer is too large.")
            return True
        try:
            self._outbox.data(ticket, envelope)
        except RateLimited as error:
            self._refuse(ticket, error.reason, error.message)
        return True

    def report(self, key: str, event: pb.Event) -> None:
        """Queue a fact; one that still waits under the same key is replaced, since the newer says it all."""
        if self.phase is Phase.OPEN:
            self._outbox.fact(key, self._envelope(event=event))
        elif self.phase is Phase.HANDSHAKE:
            self._early[key] = event

    def _envelope(self, **body: Any) -> bytes:
        return pb.AgentEnvelope(epoch=self.epoch, **body).SerializeToString()

    def _greet(self, envelope: pb.CentreEnvelope, now: float) -> Sequence[Output]:
        if envelope.WhichOneof("body") == "reject":
            return self.close(Ending.REFUSED, envelope.reject.message[:200])
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
        self._open(welcome.epoch, now)
        for key, event in self._early.items():
            self.report(key, event)
        self._early.clear()
        return (Opened(welcome.epoch, welcome.session_id, welcome.version),)

    def _handle(self, envelope: pb.CentreEnvelope, now: float) -> Sequence[Output]:
        body = envelope.WhichOneof("body")
        if body == "command":
            return self._command(envelope.command, envelope.traceparent)
        if body == "drain":
            drain = envelope.drain
            self._reconnect_after = min(drain.reconnect_after_ms / 1000, _LONGEST_PAUSE)
            return (PeerDrains(drain.deadline_ms / 1000),)
        if body == "reject" and envelope.reject.reason in Ending.__members__:
            return self.close(Ending.REFUSED, envelope.reject.message[:200])
        self.ignored += 1
        return ()

    def _command(self, command: pb.Command, traceparent: str) -> Sequence[Output]:
        ticket = command.ticket
        if ticket == 0 or ticket in self._open_tickets:
            self.ignored += 1
            return ()
        if len(self._open_tickets) >= self.terms.outstanding:
            return self._reject("RATE_LIMITED", RateLimited.default_message, ticket)
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

    def _ticket(self, envelope: pb.CentreEnvelope) -> int:
        return envelope.command.ticket if envelope.WhichOneof("body") == "command" else 0

    def _refuse(self, ticket: int, reason: str, message: str) -> None:
        problem = pb.Problem(reason=reason, message=message, retryable=reason == RateLimited.reason)
        small = pb.Result(ticket=ticket, outcome="FAILED", problem=problem)
        self._outbox.must(ticket, self._envelope(result=small))

    def _abandon(self) -> Sequence[Closed]:
        self._open_tickets.clear()
        self._early.clear()
        return ()
