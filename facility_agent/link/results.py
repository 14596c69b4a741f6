"""Results on their way to the centre: sent in each session until they are acknowledged."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from facility_agent.ports.link import OrderDesk, WaitingResult
from shared.errors import BackendUnavailable
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb

log = logging.getLogger(__name__)
_AT_ONCE = 64
_GATHER = 0.05
LOOK_EVERY = 8.0


class Carrier(Protocol):
    """A session that takes results."""

    def settle(self, result: pb.OrderResult) -> bool:
        """Send one; False when that is not possible now."""
        ...


class Results:
    """Everything is found in the store. `run` it as a task.

    A result that could not be sent at once is sent when an acknowledgement has made room, when the next session
    opens, or at the next look.
    """

    def __init__(self, desk: OrderDesk, look_every: float = LOOK_EVERY) -> None:
        self._desk, self._look_every = desk, look_every
        self._session: Carrier | None = None
        self._acknowledged: list[str] = []
        self._behind = False
        self._place: WaitingResult | None = None
        self._wake = asyncio.Event()

    def opened(self, session: Carrier) -> None:
        """Send everything in this session, from the beginning."""
        self._session, self._place, self._behind = session, None, True
        self._wake.set()

    def closed(self, session: Carrier) -> None:
        """It takes nothing any more."""
        if self._session is session:
            self._session = None

    def offer(self, settled: WaitingResult) -> None:
        """Send one that was stored just now, if that is possible."""
        self._behind |= not self._send(settled.result)

    def acknowledged(self, order_id: str) -> None:
        """The centre has it."""
        self._acknowledged.append(order_id)
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self._look_every):
                    await self._wake.wait()
            except TimeoutError:
                self._place, self._behind = None, True
            self._wake.clear()
            try:
                if not self._behind:
                    await asyncio.sleep(_GATHER)  # each note is a commit; at worst a result is sent again
                await self._note()
                if self._behind:
                    self._behind = False
                    await self._send_waiting()
            except BackendUnavailable as error:  # at the next look
                log.debug("results wait: %s", error.message)
            except Exception:  # a fault of ours must not keep everything else from the centre for ever
                log.exception("Results could not be sent; they are tried again.")

    async def _note(self) -> None:
        order_ids, self._acknowledged = self._acknowledged, []
        if order_ids:
            await self._desk.acknowledge(order_ids)

    async def _send_waiting(self) -> None:
        while self._session is not None:
            session = self._session
            waiting = await self._desk.waiting(self._place, _AT_ONCE)
            for result in waiting:
                if session is not self._session or not self._send(result.result):
                    self._behind = True
                    return
                self._place = result
            if len(waiting) < _AT_ONCE:
                return

    def _send(self, result: bytes) -> bool:
        return self._session is not None and self._session.settle(pb.OrderResult.FromString(result))
