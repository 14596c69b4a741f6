"""`ports.Links` over the sessions of this process."""

from __future__ import annotations

from collections.abc import Mapping

from central_portal.link.delivery import Delivery
from central_portal.link.ports import OpenOrder, SealedBody
from central_portal.link.session import Session
from shared.commands import Answer, Verb
from shared.errors import FacilityUnavailable


class LocalLinks:
    """Implements `ports.Links`."""

    def __init__(self, sessions: Mapping[str, Session], delivery: Delivery) -> None:
        self._sessions, self._delivery = sessions, delivery

    def online(self, facility_id: str) -> bool:
        """Whether a session of this facility's agent is open and alive."""
        session = self._sessions.get(facility_id)
        return session is not None and session.ready

    async def ask(self, facility_id: str, verb: Verb, command: SealedBody, timeout_s: float) -> Answer:
        """See `ports.Links.ask`."""
        session = self._sessions.get(facility_id)
        if session is None:
            raise FacilityUnavailable
        return await session.ask(verb, command, timeout_s)

    def deliver(self, facility_id: str, order: OpenOrder | None = None) -> None:
        """See `ports.Links.deliver`."""
        if order is None or not self._delivery.hand(order):
            self._delivery.wake(facility_id)
