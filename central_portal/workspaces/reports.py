"""What facilities say of workspaces and of orders, written into the centre's rows and told to who watches."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence, Set
from dataclasses import dataclass
from functools import partial

from central_portal.facilities.fence import fence, fence_all
from central_portal.link import orders
from central_portal.link.metrics import ORDERS
from central_portal.link.ports import OrderAnswer
from central_portal.link.settlements import Settlements
from central_portal.workspaces import store
from central_portal.workspaces.broadcast import Broadcaster
from central_portal.workspaces.logic import WorkspaceView, absent, fold, orphaned
from central_portal.workspaces.settling import Brought, Settled, expire, settle
from central_portal.writer import Writer
from shared.workspaces import WorkspaceInventory, WorkspaceReport, is_workspace_id

log = logging.getLogger(__name__)
EXPIRE_EVERY = 1.0
FORGET_EVERY = 3600.0


class Reports:
    """Writes in groups; a facility that says much costs few commits."""

    def __init__(
        self, writer: Writer, broadcaster: Broadcaster, settlements: Settlements,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._write, self._broadcaster, self._clock = writer, broadcaster, clock
        self._settlements = settlements

    async def reported(self, facility_id: str, epoch: int, report: WorkspaceReport) -> None:
        """Fold a report. One about another facility's workspace is ignored. Raises Overtaken."""
        await self._fold(facility_id, epoch, [report])

    async def inventory(self, facility_id: str, epoch: int, inventory: WorkspaceInventory) -> None:
        """Fold everything that a facility knows, and what its silence on the others implies. Raises Overtaken.

        What runs there without a row in its store was accepted by a store that is lost: its order is over, and
        nobody can tell whose it is; the facility's operator sees it.
        """
        await self._fold(facility_id, epoch, inventory.reports)
        named = {report.workspace_id for report in inventory.reports}
        self._publish(
            await self._write(partial(_fold_silence, facility_id, epoch, named, inventory.unowned, self._clock()))
        )

    async def _fold(self, facility_id: str, epoch: int, reports: Sequence[WorkspaceReport]) -> None:
        self._publish(
            await self._write.batched(_fold_reports, _Reported(facility_id, epoch, reports, self._clock()))
        )

    async def settled(self, facility_id: str, epoch: int, answers: Sequence[OrderAnswer]) -> Collection[str]:
        """Commit results of orders. Raises Overtaken; see `link.ports.LinkEvents.settled`."""
        done = await self._write.batched(settle, Brought(facility_id, epoch, answers, self._clock()))
        self._tell(done)
        return done.orders

    async def expire(self) -> None:
        """End what waited too long, and forget what ended long ago, until cancelled. Any number of processes may do so."""
        loop = asyncio.get_running_loop()
        forget_at = loop.time()
        while True:
            try:
                await self.sweep()
                if loop.time() >= forget_at:
                    await self.forget()
                    forget_at = loop.time() + FORGET_EVERY
            except Exception:
                log.exception("waiting orders could not be looked at")
            await asyncio.sleep(EXPIRE_EVERY)

    async def sweep(self) -> None:
        """End what has waited too long by now."""
        self._tell(await self._write(partial(expire, self._clock())))

    async def forget(self) -> None:
        """Delete the orders that ended longer ago than they are remembered."""
        while await self._write(partial(orders.forget, self._clock())):
            pass

    def _tell(self, done: Settled) -> None:
        self._publish(done.changed)
        views = {view.id: view for view in done.changed}
        for standing in done.ended:
            ORDERS.labels(standing.verb.value, standing.outcome or standing.state.value).inc()
            self._settlements.tell(standing, views.get(standing.workspace))

    def _publish(self, changed: Sequence[WorkspaceView]) -> None:
        for view in changed:
            self._broadcaster.publish(view)


@dataclass(frozen=True, slots=True)
class _Reported:
    facility: str
    epoch: int
    reports: Sequence[WorkspaceReport]
    now: float


def _fold_reports(said: Sequence[_Reported]) -> list[list[WorkspaceView]]:
    fence_all({(group.facility, group.epoch) for group in said})
    folds: list[tuple[list[WorkspaceView], str, store.Decide]] = []
    changed: list[list[WorkspaceView]] = [[] for _ in said]
    for group, mine in zip(said, changed, strict=True):
        folds += [
            (mine, report.workspace_id, partial(_folded, group.facility, report, group.now))
            for report in group.reports
            if is_workspace_id(report.workspace_id)
        ]
    done = store.change_all([(workspace_id, decide) for _, workspace_id, decide in folds])
    for (mine, _, _), result in zip(folds, done, strict=True):
        mine += [result[0]] if result is not None and result[1] else []
    return changed


def _folded(facility_id: str, report: WorkspaceReport, now: float, row: WorkspaceView) -> WorkspaceView:
    return fold(row, report, now) if row.facility == facility_id else row


def _fold_silence(
    facility_id: str, epoch: int, named: Set[str], unowned: Collection[str], now: float
) -> list[WorkspaceView]:
    fence(facility_id, epoch)
    orders.lose(orders.take_open(dict.fromkeys(unowned, facility_id)), now)
    changed: list[WorkspaceView] = []
    for view in store.living(facility_id):
        if view.id in unowned:
            changed += store.changed(view.id, lambda row: orphaned(row, now))
        elif view.id not in named:
            changed += store.changed(view.id, lambda row: absent(row, now))
    return changed
