"""Waiting for an order to be settled: hints make it quick, the row decides."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from central_portal.database import in_database
from central_portal.link import orders
from central_portal.link.ports import OPEN_STATES, OrderStanding, Topic, Wakes

LOOK_EVERY = 0.5


class Settlements:
    """Tells who waits that an order is settled, wherever in the centre that was committed."""

    def __init__(self, wakes: Wakes) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        wakes.listen(Topic.SETTLED, self._hint)

    def _hint(self, order_id: str | None) -> None:
        """None says that hints may have been missed: everybody looks."""
        for event in self._waiting.get(order_id, ()) if order_id else set().union(*self._waiting.values()):
            event.set()

    @contextmanager
    def expect(self, order_id: str) -> Iterator[asyncio.Event]:
        """Hears hints from now on: enter it before the order is committed."""
        event = asyncio.Event()
        self._waiting[order_id].add(event)
        try:
            yield event
        finally:
            self._waiting[order_id].discard(event)
            if not self._waiting[order_id]:
                del self._waiting[order_id]

    async def outcome(self, order_id: str, hint: asyncio.Event, timeout_s: float) -> OrderStanding | None:
        """How the order stands once it is settled, or after `timeout_s`; None when there is no such order."""
        until = asyncio.get_running_loop().time() + timeout_s
        while True:
            left = until - asyncio.get_running_loop().time()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK_EVERY, left)):
                    await hint.wait()
            standing = await in_database(orders.standing)(order_id)
            if standing is None or standing.state.value not in OPEN_STATES or left <= LOOK_EVERY:
                return standing
            hint.clear()
