"""The fence: no session writes once a newer one exists."""

from __future__ import annotations

from collections.abc import Set

from django.db.models import Q

from central_portal.facilities.models import FacilitySession
from central_portal.link.ports import Overtaken


def fence(facility_id: str, epoch: int) -> None:
    """Holds the facility's epoch until the transaction ends. Raises Overtaken when `epoch` is not its newest."""
    fence_all({(facility_id, epoch)})


def fence_all(sessions: Set[tuple[str, int]]) -> None:
    """The same for several facilities with their epochs."""
    wanted = Q()
    for facility_id, epoch in sessions:
        wanted |= Q(slug=facility_id, epoch=epoch)
    rows = FacilitySession.objects.select_for_update(no_key=True).filter(wanted).order_by("slug")
    if len(rows.values_list("pk", flat=True)) != len(sessions):
        raise Overtaken
