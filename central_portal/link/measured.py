"""`Links` that counts its asks."""

from __future__ import annotations

import time

from central_portal.link.metrics import ASKS
from central_portal.link.ports import Links, OpenOrder, SealedBody
from shared.commands import Answer, Verb
from shared.errors import ParasolError


class MeasuredLinks:
    """Implements `ports.Links` over another one."""

    def __init__(self, links: Links) -> None:
        self._links = links

    def online(self, facility_id: str) -> bool:
        """See `ports.Links`."""
        return self._links.online(facility_id)

    def deliver(self, facility_id: str, order: OpenOrder | None = None) -> None:
        """See `ports.Links`."""
        self._links.deliver(facility_id, order)

    async def ask(self, facility_id: str, verb: Verb, command: SealedBody, timeout_s: float) -> Answer:
        """See `ports.Links`."""
        started, outcome = time.monotonic(), "CANCELLED"
        try:
            answer = await self._links.ask(facility_id, verb, command, timeout_s)
            outcome = answer.outcome.value
        except ParasolError as error:
            outcome = error.reason
            raise
        finally:
            ASKS.labels(verb.value, outcome).observe(time.monotonic() - started)
        return answer
