"""The fence: no session writes once a newer one exists."""

from __future__ import annotations

from collections.abc import Set

from central_portal.bulk import Lock, lock_rows
from central_portal.facilities.models import FacilitySession
from central_portal.link.ports import Overtaken


def fence(facility_id: str, epoch: int) -> None:
    """Holds the facility's epoch until the transaction ends. Raises Overtaken when `epoch` is not its newest."""
    fence_all({(facility_id, epoch)})


def fence_all(sessions: Set[tuple[str, int]]) -> None:
    """The same for several facilities with their epochs."""
    rows = lock_rows(FacilitySession, ("slug", "epoch"), {slug for slug, _ in sessions}, Lock.NO_KEY)
    if not sessions <= set(rows):
        raise Overtaken
