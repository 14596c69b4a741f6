"""Brings every open order to the session of its facility's agent: at once when told, within a second in any case."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress

from central_portal.link.ports import OpenOrder, OrderQueue, OrderState
from central_portal.link.session import Session

log = logging.getLogger(__name__)
SWEEP = 1.0
BATCH = 500


class Delivery:
    """The orders of the facilities whose sessions are in `sessions`. `run` it as a task.

    Rows are the truth: each sweep asks for what is open and was not delivered in this session yet. What was
    never sent is marked as sent before it is written, so that only what nobody can have received ever expires.
    """

    def __init__(self, queue: OrderQueue, sessions: Mapping[str, Session]) -> None:
        self._queue, self._sessions = queue, sessions
        self._woken: set[str] = set()
        self._behind: set[str] = set()
        self._wake = asyncio.Event()

    def wake(self, facility_id: str) -> None:
        """Orders of this facility were committed."""
        self._woken.add(facility_id)
        self._wake.set()

    def room(self, facility_id: str) -> None:
        """Its agent has taken an order: it gets the next one if it had no room for all of them."""
        if facility_id in self._behind:
            self.wake(facility_id)

    async def run(self) -> None:
        """Deliver until cancelled. A database that fails for a while only delays."""
        loop = asyncio.get_running_loop()
        sweep_at = loop.time()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(sweep_at):
                    await self._wake.wait()
            self._wake.clear()
            chosen, self._woken = self._woken, set()
            sweeping = loop.time() >= sweep_at
            if sweeping:
                chosen, sweep_at = set(self._sessions), loop.time() + SWEEP
            try:
                if sweeping:
                    await self._note_accepted()
                await self._deliver({name: self._sessions[name] for name in chosen if name in self._sessions})
            except Exception:
                log.exception("Orders could not be read; the next sweep tries again.")

    async def _note_accepted(self) -> None:
        """Only on a sweep: most orders are settled before it would be worth a commit."""
        accepted = [
            order_id for session in self._sessions.values() for order_id in session.orders.newly_accepted()
        ]
        if accepted:
            await self._queue.accepted(accepted)

    async def _deliver(self, sessions: Mapping[str, Session]) -> None:
        ready = {name: session for name, session in sessions.items() if session.orders.free > 0}
        if not ready:
            return
        found = await self._queue.open_of({name: ready[name].orders.delivered for name in ready}, BATCH)
        self._behind -= ready.keys()
        chosen: list[OpenOrder] = []
        room = {name: session.orders.free for name, session in ready.items()}
        for order in found:
            if room[order.facility] > 0:
                room[order.facility] -= 1
                chosen.append(order)
            else:
                self._behind.add(order.facility)
        if len(found) == BATCH:
            self._behind |= ready.keys()
        unsent = {order.id for order in chosen if order.state is OrderState.WAITING}
        if unsent:
            unsent -= set(await self._queue.sent(unsent))
        for order in chosen:
            if order.id not in unsent:
                ready[order.facility].deliver(order)
