"""The queries of one session as the hub sees them: waiting for a credit, out at the agent, over."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from dataclasses import dataclass

from shared.errors import RateLimited
from shared.link.outbox import FULL
from shared.link.terms import Terms
from shared.link.windows import Window
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb

_LEAST_RETRY, _MOST_RETRY = 0.05, 5.0


@dataclass(frozen=True, slots=True)
class Ask:
    """A command that has not been sent: since when it waits, and until when somebody does for its answer."""

    command: pb.Command
    traceparent: str
    since: float
    until: float


class Asks:
    """Tickets and their deadlines. A credit is taken when an ask goes out and returns with the agent's answer.

    An agent may be at work on what nobody waits for any more; that credit stays out until it says so,
    for `dead_after` at most.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self.window = Window(0)
        self._last = 0
        self._open: dict[int, float] = {}
        self._late: dict[int, float] = {}
        self._waiting: OrderedDict[int, Ask] = OrderedDict()
        self._bytes = 0
        self._instants: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._open)

    @property
    def waiting(self) -> int:
        """Asks without a credit."""
        return len(self._waiting)

    def waited(self, now: float) -> float:
        """For how long the oldest ask without a credit has waited, in seconds."""
        return now - next(iter(self._waiting.values())).since if self._waiting else 0.0

    def add(self, command: pb.Command, traceparent: str, now: float, timeout_s: float) -> int:
        """Keeps an ask and gives its ticket. Raises RateLimited when too many wait."""
        if len(self._open) >= self._terms.outstanding or self._bytes + len(command.body) > self._terms.queue_bytes:
            raise RateLimited(FULL, metadata={"retry_after_ms": str(self._retry_after_ms(now))})
        self._last = ticket = self._last + 1
        command.ticket = ticket
        self._open[ticket] = now + timeout_s
        self._waiting[ticket] = Ask(command, traceparent, now, now + timeout_s)
        self._bytes += len(command.body)
        self._at(now + timeout_s, ticket)
        return ticket

    def next(self, now: float) -> Ask | None:
        """The next ask that may go out, with the time that is left for it; None when there is none."""
        while self._waiting and self.window.room:
            ticket = next(iter(self._waiting))
            ask = self._taken(ticket)
            if ask.until > now:
                self.window.take(ticket)
                ask.command.timeout_ms = max(1, int((ask.until - now) * 1000))
                return ask
        return None

    def answered(self, ticket: int) -> tuple[bool, bool]:
        """The agent is done with this ticket: whether it was out, and whether anybody still waits for it."""
        if not self.window.give_back(ticket):
            return False, False
        self._late.pop(ticket, None)
        return True, self._open.pop(ticket, None) is not None

    def forget(self, ticket: int) -> bool:
        """Nobody waits for this ticket any more; whether anybody did."""
        until = self._open.pop(ticket, None)
        if until is None:
            return False
        self._over(ticket, until)
        return True

    def withdrawn(self, ticket: int) -> None:
        """It was never written: its credit is free."""
        self._late.pop(ticket, None)
        self.window.give_back(ticket)

    def expire(self, now: float) -> list[int]:
        """The tickets whose time is over, now settled; also frees credits that were out for too long."""
        over: list[int] = []
        while self._instants and self._instants[0][0] <= now:
            at, ticket = heapq.heappop(self._instants)
            if self._open.get(ticket) == at:
                del self._open[ticket]
                self._over(ticket, at)
                over.append(ticket)
            elif self._late.get(ticket) == at:
                self.withdrawn(ticket)
        return over

    def deadline(self) -> float:
        """The first instant at which `expire` has something to do."""
        while self._instants:
            at, ticket = self._instants[0]
            if at in (self._open.get(ticket), self._late.get(ticket)):
                return at
            heapq.heappop(self._instants)
        return float("inf")

    def abandon(self) -> list[int]:
        """Every ticket that somebody waits for; the session is over."""
        lost = list(self._open)
        for kept in (self._open, self._late, self._waiting, self._instants, self.window):
            kept.clear()
        self._bytes = 0
        return lost

    def _taken(self, ticket: int) -> Ask:
        ask = self._waiting.pop(ticket)
        self._bytes -= len(ask.command.body)
        return ask

    def _over(self, ticket: int, until: float) -> None:
        if ticket in self._waiting:
            self._taken(ticket)
        elif ticket in self.window:
            self._late[ticket] = until + self._terms.dead_after
            self._at(self._late[ticket], ticket)

    def _at(self, instant: float, ticket: int) -> None:
        heapq.heappush(self._instants, (instant, ticket))
        if len(self._instants) > 2 * (len(self._open) + len(self._late)) + self._terms.outstanding:
            live = (*self._open.items(), *self._late.items())
            self._instants = [(at, which) for which, at in live]
            heapq.heapify(self._instants)

    def _retry_after_ms(self, now: float) -> int:
        """A place is free when the first ask is over, at the latest."""
        return int(min(max(self.deadline() - now, _LEAST_RETRY), _MOST_RETRY) * 1000)
