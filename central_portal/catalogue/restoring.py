"""Having an archived dataset brought back, and watching it: an order, and questions in the watcher's own name.

Nothing about the dataset is kept here. What an agent reports is a hint to ask again, and so is a while without one: what
is watched may be at a facility whose report was lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial

from central_portal.catalogue.services import FederatedSearch
from central_portal.facilities.services import Facilities
from central_portal.identity.services import Caller, Identity
from central_portal.link import orders
from central_portal.link.ports import OPEN_STATES, Links, NewOrder, Topic, Wakes, dataset_key
from central_portal.link.settlements import Settlements
from central_portal.writer import Writer
from shared import trace
from shared.catalogue import Dataset
from shared.commands import Restore, Verb
from shared.errors import InvalidRequest, ParasolError
from shared.limits import LIMITS
from shared.wire.status import error_of

log = logging.getLogger(__name__)
SOON, SELDOM = 5.0, 60.0
"""Pauses between two looks without a hint, in seconds: the first, and the longest."""


class Restoring:
    """Gives the order, waits for its result as long as a query would, and watches."""

    def __init__(
        self, identity: Identity, facilities: Facilities, links: Links, settlements: Settlements, writer: Writer,
        search: FederatedSearch, wakes: Wakes, deadline_s: float = LIMITS.query_deadline,
        clock: Callable[[], float] = time.time, soon_s: float = SOON,
    ) -> None:  # fmt: skip
        self._identity, self._facilities, self._links = identity, facilities, links
        self._settlements, self._write, self._search, self._wakes = settlements, writer, search, wakes
        self._deadline, self._clock, self._soon = deadline_s, clock, soon_s

    async def restore(self, caller: Caller, facility_id: str, pid: str) -> bool:
        """Whether the facility has taken it on; False when the order still waits for it, at most ten minutes.

        Raises InvalidRequest, NotFound, SignInNeeded, what the facility says.
        """
        if not 1 <= len(pid) <= 512:
            raise InvalidRequest("A dataset's identifier has 1 to 512 characters.")
        online = self._facilities.get(facility_id).online
        order_id, now = str(uuid.uuid4()), self._clock()
        sealed = await self._identity.order(caller, facility_id, Verb.RESTORE, Restore(pid), order_id)
        order = NewOrder(
            order_id, facility_id, Verb.RESTORE, caller.person_id, "", sealed, now, now + LIMITS.order_life, trace.current()
        )  # fmt: skip
        with self._settlements.expect(order_id) as expected:
            await self._write(partial(orders.insert, [(order, online)]))
            log.info("order %s (%s) for %s", order_id, order.verb.value, facility_id)
            self._links.deliver(facility_id, order.sent() if online else None)
            if not online:
                return False
            settled = await self._settlements.outcome(order_id, expected, self._deadline)
        if settled is not None and settled.problem is not None:
            raise error_of(settled.problem)
        return settled is not None and settled.state.value not in OPEN_STATES

    async def watch(self, caller: Caller | None, facility_id: str, pid: str) -> AsyncIterator[Dataset]:
        """A dataset as its reader sees it, and each time that it has changed. Raises what says that it cannot be read."""
        hinted, key = asyncio.Event(), dataset_key(facility_id, pid)
        unlisten = self._wakes.listen(Topic.DATASET, lambda told: hinted.set() if told in (key, None) else None)
        told: Dataset | None = None
        pause = self._soon
        try:
            while True:
                hinted.clear()
                found = await self._look(caller, facility_id, pid)
                if found is not None and found != told:
                    told, pause = found, self._soon
                    yield found
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await hinted.wait()
                pause = min(SELDOM, pause * 1.5)
        finally:
            unlisten()

    async def _look(self, caller: Caller | None, facility_id: str, pid: str) -> Dataset | None:
        """None while the facility does not answer: it may do so later."""
        try:
            return await self._search.dataset(caller, facility_id, pid)
        except ParasolError as error:
            if not error.retryable:
                raise
            return None
