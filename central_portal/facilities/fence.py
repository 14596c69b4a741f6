"""The fence: no session writes once a newer one exists."""

from __future__ import annotations

from central_portal.facilities.models import FacilitySession
from central_portal.link.ports import Overtaken


def fence(facility_id: str, epoch: int) -> None:
    """Holds the facility's epoch until the transaction ends. Raises Overtaken when `epoch` is not its newest."""
    rows = FacilitySession.objects.select_for_update(no_key=True).filter(slug=facility_id, epoch=epoch)
    if not rows.values_list("pk", flat=True).first():
        raise Overtaken
