"""Removing one's account link at a facility: an order, so that it arrives however long the facility is away."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from functools import partial

from central_portal.facilities.services import Facilities
from central_portal.identity import store
from central_portal.identity.services import Caller, Identity
from central_portal.link import orders
from central_portal.link.ports import OPEN_STATES, Links, NewOrder
from central_portal.link.settlements import Settlements
from central_portal.writer import Writer
from shared import trace
from shared.commands import Unlink, Verb
from shared.limits import LIMITS
from shared.wire.status import error_of

log = logging.getLogger(__name__)


class Unlinking:
    """Gives the order and waits for its result as long as a query would."""

    def __init__(
        self, identity: Identity, facilities: Facilities, links: Links, settlements: Settlements, writer: Writer,
        deadline_s: float = LIMITS.query_deadline, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._identity, self._facilities, self._links = identity, facilities, links
        self._settlements, self._write = settlements, writer
        self._deadline, self._clock = deadline_s, clock

    async def unlink(self, caller: Caller, facility_id: str) -> bool:
        """Whether the facility has done it; False when the order still waits. The grants here are forgotten at once.

        Raises NotFound, SignInNeeded, what the facility says.
        """
        online = self._facilities.get(facility_id).online
        order_id, now = str(uuid.uuid4()), self._clock()
        sealed = await self._identity.order(caller, facility_id, Verb.UNLINK, Unlink(), order_id)
        order = NewOrder(
            order_id, facility_id, Verb.UNLINK, caller.person_id, "", sealed, now, None, trace.current()
        )
        with self._settlements.expect(order_id) as expected:
            await self._write(partial(_insert, order, online=online))
            log.info("order %s (%s) for %s", order_id, order.verb.value, facility_id)
            self._links.deliver(facility_id, order.sent() if online else None)
            if not online:
                return False
            settled = await self._settlements.outcome(order_id, expected, self._deadline)
        if settled is not None and settled.problem is not None:
            raise error_of(settled.problem)
        return settled is not None and settled.state.value not in OPEN_STATES


def _insert(order: NewOrder, *, online: bool) -> None:
    orders.insert([(order, online)])
    store.drop_grants(order.person, order.facility)
