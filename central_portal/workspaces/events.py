"""What the hub reports, given to those who keep it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from central_portal.facilities.services import Facilities
from central_portal.link.ports import OrderAnswer, Overtaken
from central_portal.workspaces.reports import Reports
from shared.facilities import FacilityDescription
from shared.workspaces import WorkspaceInventory, WorkspaceReport

log = logging.getLogger(__name__)


class PortalEvents:
    """Implements `link.ports.LinkEvents`: nothing here raises, or a facility's data could stop its own link."""

    def __init__(self, facilities: Facilities, reports: Reports) -> None:
        self._facilities, self._reports = facilities, reports

    async def connected(self, facility_id: str, epoch: int, inventory: WorkspaceInventory) -> None:
        """A session has opened."""
        try:
            await self._facilities.changed(facility_id)
            await self._reports.inventory(facility_id, epoch, inventory)
        except Exception:
            log.exception("what %s said when it connected is not kept yet", facility_id)

    async def disconnected(self, facility_id: str, epoch: int) -> None:
        """A session has ended."""
        try:
            await self._facilities.changed(facility_id)
        except Exception:
            log.exception("the end of %s's session was not kept", facility_id)

    async def described(self, facility_id: str, epoch: int, description: FacilityDescription) -> None:
        """A new description."""
        try:
            await self._facilities.described(facility_id, epoch, description)
        except Exception:
            log.exception("the description of %s was not kept", facility_id)

    async def reported(self, facility_id: str, epoch: int, report: WorkspaceReport) -> None:
        """A report on a workspace."""
        try:
            await self._reports.reported(facility_id, epoch, report)
        except Exception:
            log.exception("a report of %s is not kept yet", facility_id)

    async def settled(self, facility_id: str, epoch: int, answers: Sequence[OrderAnswer]) -> Collection[str]:
        """Results of orders. Raises Overtaken."""
        try:
            return await self._reports.settled(facility_id, epoch, answers)
        except Overtaken:
            raise
        except Exception:
            log.exception("results of %s were not kept; they are tried again", facility_id)
            return ()
