"""The orders of one session: which were delivered, and their results on the way to being committed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from central_portal.link.metrics import FENCED
from central_portal.link.ports import LinkEvents, OpenOrder, OrderAnswer, Overtaken
from shared.commands import Answer, Verb
from shared.link.centre_end import CentreEnd
from shared.link.outputs import OrderAccepted, OrderSettled, Output
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.orders import decode_order_result

log = logging.getLogger(__name__)
AGAIN = 1.0
UNSETTLED = 1024
"""How many orders one session may have taken without having settled them."""


class SessionOrders:
    """Commits results in groups, and acknowledges only what is committed.

    The agent bounds what waits here: it sends no more results than the hub's result credits. `changed` is called
    when there is something to write, `room` when the agent has taken an order, `overtaken` when the database says
    that a newer session has this facility.
    """

    def __init__(
        self, facility_id: str, end: CentreEnd, events: LinkEvents, *,
        changed: Callable[[], None], room: Callable[[], None], overtaken: Callable[[], None],
    ) -> None:  # fmt: skip
        self._facility_id, self._end, self._events = facility_id, end, events
        self._changed, self._room, self._overtaken = changed, room, overtaken
        self.delivered: set[str] = set()
        self._accepted: list[str] = []
        self._results: dict[str, OrderAnswer] = {}
        self._committing: asyncio.Task[None] | None = None

    @property
    def free(self) -> int:
        """How many orders the agent takes now."""
        return min(self._end.order_room, UNSETTLED - len(self.delivered)) if self._end.ready else 0

    def deliver(self, order: OpenOrder, now: float) -> None:
        """Queue one. Needs `free`."""
        sealed = order.sealed
        self._end.order(order.id, sealed.body, sealed.grant_id, sealed.mac, now, order.traceparent)
        self.delivered.add(order.id)
        self._changed()

    def newly_accepted(self) -> list[str]:
        """What the agent has stored since the last call and is not settled."""
        accepted, self._accepted = [i for i in self._accepted if i in self.delivered], []
        return accepted

    def take(self, output: Output) -> bool:
        """Takes what is about orders, at once; False for anything else."""
        if isinstance(output, OrderAccepted):
            self._accepted.append(output.order_id)
            self._room()
        elif isinstance(output, OrderSettled):
            self._results[output.order_id] = OrderAnswer(output.order_id, _reader(output.result))
            self._room()
            if self._committing is None:
                self._committing = asyncio.create_task(self._commit())
        else:
            return False
        return True

    async def finish(self) -> None:
        """Waits for the commit under way: what it says may still be acknowledged by the next session."""
        if self._committing is not None:
            await asyncio.wait([self._committing])

    async def _commit(self) -> None:
        try:
            while self._results and self._end.closed is None:
                epoch = self._end.epoch
                group = list(self._results.values())
                committed = await self._events.settled(self._facility_id, epoch, group)
                for order_id in committed:
                    self._results.pop(order_id, None)
                    self.delivered.discard(order_id)
                    self._end.acknowledge(order_id)
                self._changed()
                self._room()
                if not committed:
                    await asyncio.sleep(AGAIN)
        except Overtaken:
            FENCED.labels("result").inc()
            log.warning("A newer session of %s exists: this one records nothing more.", self._facility_id)
            self._overtaken()
        finally:
            self._committing = None


def _reader(result: pb.OrderResult) -> Callable[[Verb], Answer]:
    return lambda verb: decode_order_result(verb, result)
