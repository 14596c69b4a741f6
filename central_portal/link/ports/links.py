"""The way to the agents."""

from __future__ import annotations

from typing import Protocol

from central_portal.link.ports.commands import SealedBody
from central_portal.link.ports.orders import OpenOrder
from shared.commands import Answer, Verb


class Links(Protocol):
    """The way to the agents."""

    def online(self, facility_id: str) -> bool:
        """Whether a session of this facility's agent is open and alive."""
        ...

    async def ask(self, facility_id: str, verb: Verb, command: SealedBody, timeout_s: float) -> Answer:
        """The agent's answer.

        Raises FacilityUnavailable when no session is open or it ended before the answer,
        DeadlineExceeded after `timeout_s` (a late answer changes nothing), RateLimited when the
        agent's queue is full. A refusal by the facility is an Answer, not an error.
        """
        ...

    def deliver(self, facility_id: str, order: OpenOrder | None = None) -> None:
        """A hint that orders of this facility were committed. Never blocks, never raises; losing it costs a second.

        `order` is one of them, stored as SENT: a session in this process need not read it again.
        """
        ...
