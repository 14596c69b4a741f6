"""What the hub reports, given to those who keep it."""

from __future__ import annotations

import logging

from central_portal.facilities.services import Facilities
from central_portal.workspaces.services import Workspaces
from shared.facilities import FacilityDescription
from shared.workspaces import WorkspaceInventory, WorkspaceReport

log = logging.getLogger(__name__)


class PortalEvents:
    """Implements `link.ports.LinkEvents`: nothing here raises, or a facility's data could stop its own link."""

    def __init__(self, facilities: Facilities, workspaces: Workspaces) -> None:
        self._facilities, self._workspaces = facilities, workspaces

    async def connected(
        self, facility_id: str, epoch: int, description: FacilityDescription, inventory: WorkspaceInventory
    ) -> None:
        """A session has opened."""
        try:
            await self._facilities.connected(facility_id, epoch, description)
            await self._workspaces.inventory(facility_id, inventory)
        except Exception:
            log.exception("what %s said when it connected was not kept", facility_id)

    async def disconnected(self, facility_id: str, epoch: int) -> None:
        """A session has ended."""
        try:
            await self._facilities.disconnected(facility_id)
        except Exception:
            log.exception("the end of %s's session was not kept", facility_id)

    async def described(self, facility_id: str, description: FacilityDescription) -> None:
        """A new description."""
        try:
            await self._facilities.described(facility_id, description)
        except Exception:
            log.exception("the description of %s was not kept", facility_id)

    async def reported(self, facility_id: str, report: WorkspaceReport) -> None:
        """A report on a workspace."""
        try:
            await self._workspaces.reported(facility_id, report)
        except Exception:
            log.exception("a report of %s was not kept", facility_id)
