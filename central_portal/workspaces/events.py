"""What the hub reports, given to those who keep it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Collection, Sequence

from django.db import InterfaceError, OperationalError

from central_portal.facilities.services import Facilities
from central_portal.link.metrics import FENCED
from central_portal.link.ports import OrderAnswer, Overtaken, Topic, Wakes, dataset_key
from central_portal.workspaces.reports import Reports
from shared.errors import RateLimited
from shared.facilities import FacilityDescription
from shared.restores import DatasetReport
from shared.workspaces import WorkspaceInventory, WorkspaceReport

log = logging.getLogger(__name__)
AWAY = (OperationalError, InterfaceError)
"""What a database raises that does not answer now; anything else would fail again."""


class PortalEvents:
    """Implements `link.ports.LinkEvents`: nothing here raises, or a facility's data could stop its own link."""

    def __init__(self, facilities: Facilities, reports: Reports, wakes: Wakes) -> None:
        self._facilities, self._reports, self._wakes = facilities, reports, wakes

    async def connected(self, facility_id: str, epoch: int, inventory: WorkspaceInventory) -> bool:
        """A session has opened."""

        async def keep() -> None:
            await self._facilities.changed(facility_id)
            await self._reports.inventory(facility_id, epoch, inventory)

        return await _kept(f"what {facility_id} said when it connected", keep())

    async def disconnected(self, facility_id: str, epoch: int) -> None:
        """A session has ended."""
        await _kept(f"the end of {facility_id}'s session", self._facilities.changed(facility_id))

    async def described(self, facility_id: str, epoch: int, description: FacilityDescription) -> bool:
        """A new description."""
        keep = self._facilities.described(facility_id, epoch, description)
        return await _kept(f"the description of {facility_id}", keep)

    async def reported(self, facility_id: str, epoch: int, report: WorkspaceReport) -> bool:
        """A report on a workspace."""
        return await _kept(f"a report of {facility_id}", self._reports.reported(facility_id, epoch, report))

    async def dataset_reported(self, facility_id: str, epoch: int, report: DatasetReport) -> bool:
        """Where a dataset is. Nothing of it is kept: who watches it asks again in their own name."""
        self._wakes.tell(Topic.DATASET, dataset_key(facility_id, report.pid))
        return True

    async def settled(self, facility_id: str, epoch: int, answers: Sequence[OrderAnswer]) -> Collection[str]:
        """Results of orders. Raises Overtaken."""
        try:
            return await self._reports.settled(facility_id, epoch, answers)
        except Overtaken:
            raise
        except Exception:
            log.exception("results of %s were not kept; they are tried again", facility_id)
            return ()


async def _kept(what: str, keep: Awaitable[None]) -> bool:
    """False when it was not, and may be when it is tried again."""
    try:
        await keep
    except Overtaken:
        FENCED.labels("report").inc()
    except (*AWAY, RateLimited) as error:
        log.warning("%s is not kept yet: %s", what, type(error).__name__)
        return False
    except Exception:
        log.exception("%s was not kept", what)
    return True
