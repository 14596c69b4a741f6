"""Results on their way: whatever goes wrong once, they are sent again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import pytest

from facility_agent.link.orders import NoOrders
from facility_agent.link.results import Results
from facility_agent.ports.link import WaitingResult
from shared.errors import BackendUnavailable
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from tests.link_parts import eventually


class Desk(NoOrders):
    """One result waits; the first look fails."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.errors = [error]
        self.noted: list[str] = []

    async def waiting(self, after: WaitingResult | None, most: int) -> Sequence[WaitingResult]:
        if self.errors:
            raise self.errors.pop()
        result = pb.OrderResult(order_id="order-1", outcome="OK").SerializeToString()
        return () if after or self.noted else (WaitingResult("order-1", 1.0, result),)

    async def acknowledge(self, order_ids: Sequence[str]) -> None:
        self.noted += order_ids


class Carrier:
    """A session with room."""

    def __init__(self, acknowledged: Callable[[str], None]) -> None:
        self.acknowledged = acknowledged

    def settle(self, result: pb.OrderResult) -> bool:
        self.acknowledged(result.order_id)
        return True


@pytest.mark.parametrize("error", [BackendUnavailable(), LookupError("a fault of ours")])
async def test_a_failure_costs_one_look(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "facility_agent")
    desk = Desk(error)
    results = Results(desk, 0.01)
    running = asyncio.create_task(results.run())
    results.opened(Carrier(results.acknowledged))
    await eventually(lambda: desk.noted == ["order-1"])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
