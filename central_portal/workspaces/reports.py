"""What facilities say of workspaces and of orders, written into the centre's rows and told to who watches."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence, Set
from contextlib import suppress
from functools import partial

from django.db import InterfaceError, OperationalError

from central_portal.facilities.fence import fence
from central_portal.link import orders
from central_portal.link.metrics import ORDERS
from central_portal.link.ports import OrderAnswer, Overtaken, Topic, Wakes
from central_portal.workspaces import store
from central_portal.workspaces.broadcast import Broadcaster
from central_portal.workspaces.logic import WorkspaceView, absent, fold, orphaned
from central_portal.workspaces.settling import Settled, expire, settle
from central_portal.writer import Writer
from shared.workspaces import WorkspaceInventory, WorkspaceReport, accepts, is_workspace_id

log = logging.getLogger(__name__)
EXPIRE_EVERY = 1.0
UNKEPT = 10_000
AWAY = (OperationalError, InterfaceError)
"""The database does not answer; anything else is a fault that would come again."""


class Reports:
    """Writes in groups; a facility that says much costs few commits."""

    def __init__(
        self, writer: Writer, broadcaster: Broadcaster, wakes: Wakes, clock: Callable[[], float] = time.time
    ) -> None:
        self._write, self._broadcaster, self._wakes, self._clock = writer, broadcaster, wakes, clock
        self._unkept: dict[tuple[str, str], Callable[[], Awaitable[None]]] = {}

    async def reported(self, facility_id: str, epoch: int, report: WorkspaceReport) -> None:
        """Fold a report. One about another facility's workspace is ignored. Raises Overtaken.

        What the database does not take, `sweep` tries again: the facility says it only once in a session.
        """
        await self._keep((facility_id, report.workspace_id), partial(self._fold, facility_id, epoch, [report]))

    async def inventory(self, facility_id: str, epoch: int, inventory: WorkspaceInventory) -> None:
        """Fold everything that a facility knows, and what its silence on the others implies. Raises Overtaken.

        What runs there without a row in its store was accepted by a store that is lost: its order is over, and
        nobody can tell whose it is; the facility's operator sees it. Tried again as a report is.
        """
        await self._keep((facility_id, ""), partial(self._inventory, facility_id, epoch, inventory))

    async def _keep(self, key: tuple[str, str], work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Overtaken:
            self._unkept.pop(key, None)
            raise
        except AWAY:
            if len(self._unkept) < UNKEPT:
                self._unkept[key] = work
            raise
        self._unkept.pop(key, None)

    async def _inventory(self, facility_id: str, epoch: int, inventory: WorkspaceInventory) -> None:
        now = self._clock()
        self._publish(await self._write(partial(_fold_inventory, facility_id, epoch, inventory.reports, now)))
        named = {report.workspace_id for report in inventory.reports}
        self._publish(
            await self._write(partial(_fold_silence, facility_id, epoch, named, inventory.unowned, self._clock()))
        )

    async def _fold(self, facility_id: str, epoch: int, reports: Sequence[WorkspaceReport]) -> None:
        self._publish(await self._write(partial(_fold_reports, facility_id, epoch, reports, self._clock())))

    async def settled(self, facility_id: str, epoch: int, answers: Sequence[OrderAnswer]) -> Collection[str]:
        """Commit results of orders. Raises Overtaken; see `link.ports.LinkEvents.settled`."""
        done = await self._write(partial(settle, facility_id, epoch, answers, self._clock()))
        self._tell(done)
        return done.orders

    async def expire(self) -> None:
        """End what waited too long, until cancelled. Any number of processes may do so."""
        while True:
            try:
                await self.sweep()
            except Exception:
                log.exception("waiting orders could not be looked at")
            await asyncio.sleep(EXPIRE_EVERY)

    async def sweep(self) -> None:
        """End what has waited too long by now, and keep what could not be kept before."""
        for key, work in list(self._unkept.items()):
            with suppress(Overtaken, *AWAY):
                await self._keep(key, work)
        self._tell(await self._write(partial(expire, self._clock())))

    def _tell(self, done: Settled) -> None:
        self._publish(done.changed)
        for verb, outcome in done.ended:
            ORDERS.labels(verb, outcome).inc()
        for order_id in done.orders:
            self._wakes.tell(Topic.SETTLED, order_id)

    def _publish(self, changed: Sequence[WorkspaceView]) -> None:
        for view in changed:
            self._broadcaster.publish(view)


def _fold_reports(
    facility_id: str, epoch: int, reports: Sequence[WorkspaceReport], now: float
) -> list[WorkspaceView]:
    fence(facility_id, epoch)
    changed: list[WorkspaceView] = []
    for report in reports:
        if is_workspace_id(report.workspace_id):
            changed += store.changed(report.workspace_id, partial(_folded, facility_id, report, now))
    return changed


def _fold_inventory(
    facility_id: str, epoch: int, reports: Sequence[WorkspaceReport], now: float
) -> list[WorkspaceView]:
    """Of all that a facility remembers only little is news: the rest costs one look, or its agent waits for its Welcome."""
    fence(facility_id, epoch)
    told = {report.workspace_id: report for report in reports if is_workspace_id(report.workspace_id)}
    changed: list[WorkspaceView] = []
    same: list[str] = []
    for view in store.named(facility_id, told):
        if accepts(view.state, view.sequence, told[view.id]):
            changed += store.changed(view.id, partial(_folded, facility_id, told[view.id], now))
        elif not view.state.is_final:
            same.append(view.id)
    store.seen(same, now)
    return changed


def _folded(facility_id: str, report: WorkspaceReport, now: float, row: WorkspaceView) -> WorkspaceView:
    return fold(row, report, now) if row.facility == facility_id else row


def _fold_silence(
    facility_id: str, epoch: int, named: Set[str], unowned: Collection[str], now: float
) -> list[WorkspaceView]:
    fence(facility_id, epoch)
    orders.lose([order_id for order_id in unowned if orders.take_open(order_id, facility_id)], now)
    changed: list[WorkspaceView] = []
    for view in store.living(facility_id):
        if view.id in unowned:
            changed += store.changed(view.id, lambda row: orphaned(row, now))
        elif view.id not in named:
            changed += store.changed(view.id, lambda row: absent(row, now))
    return changed
