"""Waiting for an order to be settled: what this process has committed it knows, elsewhere hints make it quick and the row decides."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from central_portal.database import in_database
from central_portal.link import orders
from central_portal.link.ports import OPEN_STATES, OrderStanding, Topic, Wakes

LOOK_EVERY = 0.5


class Expected:
    """An order that somebody waits for. `standing` when this process has settled it, `made` what came of that."""

    def __init__(self) -> None:
        self.hinted = asyncio.Event()
        self.standing: OrderStanding | None = None
        self.made: Any = None


class Settlements:
    """Tells who waits that an order is settled, wherever in the centre that was committed."""

    def __init__(self, wakes: Wakes) -> None:
        self._wakes = wakes
        self._waiting: dict[str, set[Expected]] = defaultdict(set)
        wakes.listen(Topic.SETTLED, self._hint)

    def tell(self, standing: OrderStanding, made: Any = None) -> None:
        """This process has committed how an order ended, and with it `made`."""
        for expected in self._waiting.get(standing.id, ()):
            expected.standing, expected.made = standing, made
        self._wakes.tell(Topic.SETTLED, standing.id)

    def _hint(self, order_id: str | None) -> None:
        """None says that hints may have been missed: everybody looks."""
        for expected in self._waiting.get(order_id, ()) if order_id else set().union(*self._waiting.values()):
            expected.hinted.set()

    @contextmanager
    def expect(self, order_id: str) -> Iterator[Expected]:
        """Hears of it from now on: enter it before the order is committed."""
        expected = Expected()
        self._waiting[order_id].add(expected)
        try:
            yield expected
        finally:
            self._waiting[order_id].discard(expected)
            if not self._waiting[order_id]:
                del self._waiting[order_id]

    async def outcome(self, order_id: str, expected: Expected, timeout_s: float) -> OrderStanding | None:
        """How the order stands once it is settled, or after `timeout_s`; None when there is no such order."""
        until = asyncio.get_running_loop().time() + timeout_s
        while True:
            left = until - asyncio.get_running_loop().time()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK_EVERY, left)):
                    await expected.hinted.wait()
            standing = expected.standing or await in_database(orders.standing)(order_id)
            if standing is None or standing.state.value not in OPEN_STATES or left <= LOOK_EVERY:
                return standing
            expected.hinted.clear()
