"""Orders as they arrive: into the desk, and told as accepted in the session in which they came."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from facility_agent.ports.link import AskedOrder, OrderDesk, WaitingResult
from shared import trace
from shared.commands import refusal
from shared.errors import BackendUnavailable, ParasolError, Unsupported
from shared.link.outputs import OrderArrived
from shared.wire.commands import verb_of
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.orders import encode_order_result

log = logging.getLogger(__name__)


class Taker(Protocol):
    """The session in which an order came."""

    def accept(self, order_id: str) -> None:
        """Say that it is stored."""
        ...

    def settle(self, result: pb.OrderResult) -> bool:
        """Send its result; False when the session has ended."""
        ...


class NoOrders:
    """Implements `ports.link.OrderDesk` where no order is taken."""

    def __init__(self) -> None:
        self._floor = 0

    async def take(self, asked: AskedOrder, accepted: Callable[[], None]) -> bytes | None:
        """A refusal."""
        return encode_order_result(asked.order_id, None, refusal(Unsupported())).SerializeToString()

    async def known(self, order_id: str) -> WaitingResult | None:
        """Nothing is stored."""
        return None

    async def waiting(self, after: WaitingResult | None, most: int) -> Sequence[WaitingResult]:
        """Nothing waits."""
        return ()

    async def acknowledge(self, order_ids: Sequence[str]) -> None:
        """Nothing was kept."""

    async def raise_floor(self, epoch: int) -> int:
        """For as long as this process lives."""
        self._floor = max(self._floor, epoch)
        return self._floor

    def on_settled(self, listener: Callable[[WaitingResult], None]) -> Callable[[], None]:
        """Nothing is settled."""
        return lambda: None


class Floor:
    """The highest epoch in which this agent acted; no order is taken before it is stored."""

    def __init__(self, desk: OrderDesk) -> None:
        self._desk = desk
        self.value, self._stored = 0, 0

    async def load(self) -> None:
        """What was stored before. Raises BackendUnavailable."""
        self.value = self._stored = max(self.value, await self._desk.raise_floor(self.value))

    async def rise(self, epoch: int) -> None:
        """To this epoch; the store's failure only keeps orders from being taken."""
        self.value = max(self.value, epoch)
        try:
            await self.save()
        except BackendUnavailable as error:
            log.warning("The session's epoch cannot be stored, so orders are refused: %s", error.message)

    async def save(self) -> None:
        """Raises BackendUnavailable while the store does not take it."""
        if self._stored < self.value:
            await self.load()


class Orders:
    """Carries orders to the desk. What the desk has taken goes on whatever happens to the session.

    What came in a session is answered there or not at all: a refusal is stored nowhere, and the order, which comes
    again in the next session, is judged there anew. What is stored is sent by `Results` too.
    """

    def __init__(self, desk: OrderDesk, floor: Floor) -> None:
        self._desk, self._floor = desk, floor
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, session: Taker, order: OrderArrived) -> None:
        """Bounded by the credits that the session gave."""
        task = asyncio.create_task(self._carry(session, order))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Wait for nothing any more."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _carry(self, session: Taker, order: OrderArrived) -> None:
        trace.enter(order.traceparent)
        name = order.order_id
        log.debug("An order arrived: %s %s", verb_of(order.body), name)
        asked = AskedOrder(name, order.body, order.grant_id, order.mac)
        try:
            await self._floor.save()
            result = await self._desk.take(asked, lambda: session.accept(name))
        except ParasolError as error:
            result = encode_order_result(name, None, refusal(error)).SerializeToString()
        if result is not None:
            session.settle(pb.OrderResult.FromString(result))
