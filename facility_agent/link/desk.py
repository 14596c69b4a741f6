"""The desk as the link sees it: no result passes that is not recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from facility_agent.link.leaving import Leaving
from facility_agent.ports.egress import unrecorded
from facility_agent.ports.link import AskedOrder, OrderDesk, WaitingResult
from shared.commands import Verb, refusal
from shared.errors import BackendUnavailable
from shared.identity import Subject
from shared.wire.commands import verb_of
from shared.wire.orders import encode_order_result

KEPT = 4096


class RecordedDesk:
    """Implements `ports.link.OrderDesk` on another one.

    A result is recorded once in a process, before it is first sent; after a restart once more. While the log cannot
    be written a new order is refused, and the result of one that was taken waits in the store.
    """

    def __init__(self, desk: OrderDesk, leaving: Leaving) -> None:
        self._desk, self._leaving = desk, leaving
        self._results: dict[tuple[str, bytes], asyncio.Task[bytes]] = {}
        self._telling: set[asyncio.Task[None]] = set()

    async def take(self, asked: AskedOrder, accepted: Callable[[], None]) -> bytes | None:
        """Carry out an order once; its result when that is recorded."""
        stored = False

        def heard() -> None:
            nonlocal stored
            stored = True
            accepted()

        try:
            if self._leaving.fault and await self._desk.known(asked.order_id) is None:
                await self._leaving.probe()
        except BackendUnavailable:
            return _refused(asked.order_id)
        result = await self._desk.take(asked, heard)
        if result is None:
            return None
        try:
            return await self._recorded_of(asked, result)
        except BackendUnavailable:
            return None if stored else _refused(asked.order_id)

    async def known(self, order_id: str) -> WaitingResult | None:
        """What is stored of an order."""
        return await self._desk.known(order_id)

    async def waiting(self, after: WaitingResult | None, most: int) -> Sequence[WaitingResult]:
        """Results that are not acknowledged, each recorded."""
        rows = await self._desk.waiting(after, most)
        results = await asyncio.gather(
            *(self._recorded(row.order_id, row.verb, row.person, row.result) for row in rows)
        )
        return [replace(row, result=result) for row, result in zip(rows, results, strict=True)]

    async def acknowledge(self, order_ids: Sequence[str]) -> None:
        """The centre has these results."""
        await self._desk.acknowledge(order_ids)
        gone = set(order_ids)
        self._results = {key: task for key, task in self._results.items() if key[0] not in gone}

    async def raise_floor(self, epoch: int) -> int:
        """Act in no session below `epoch` any more."""
        return await self._desk.raise_floor(epoch)

    def on_settled(self, listener: Callable[[WaitingResult], None]) -> Callable[[], None]:
        """Call `listener` with each order that is settled, once that is recorded."""

        def settled(row: WaitingResult) -> None:
            recorded = self._recorded(row.order_id, row.verb, row.person, row.result)
            task = asyncio.create_task(_tell(recorded, row, listener))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

        return self._desk.on_settled(settled)

    async def _recorded_of(self, asked: AskedOrder, result: bytes) -> bytes:
        """A result that was not settled just now: a refusal, or one that came again."""
        if (asked.order_id, result) in self._results:
            return await self._recorded(asked.order_id, None, None, result)
        row = await self._desk.known(asked.order_id)
        person = row.person if row is not None and row.result == result else None
        return await self._recorded(asked.order_id, verb_of(asked.body), person, result)

    def _recorded(
        self, order_id: str, verb: Verb | None, person: Subject | None, result: bytes
    ) -> asyncio.Future[bytes]:
        """The result as it may leave. A failure is not kept."""
        key = (order_id, result)
        task = self._results.get(key)
        if task is None:
            task = self._results[key] = asyncio.create_task(self._leaving.order_result(verb, person, result))
            task.add_done_callback(lambda done: self._done(key, done))
            if len(self._results) > KEPT:
                self._results.pop(next(iter(self._results)))
        return asyncio.shield(task)

    def _done(self, key: tuple[str, bytes], task: asyncio.Task[bytes]) -> None:
        if (task.cancelled() or task.exception() is not None) and self._results.get(key) is task:
            del self._results[key]


async def _tell(
    recorded: asyncio.Future[bytes], row: WaitingResult, listener: Callable[[WaitingResult], None]
) -> None:
    try:
        listener(replace(row, result=await recorded))
    except BackendUnavailable:
        return  # it is found in the store at the next look


def _refused(order_id: str) -> bytes:
    return encode_order_result(order_id, None, refusal(unrecorded())).SerializeToString()
