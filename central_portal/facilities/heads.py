"""Short, atomic, synchronous functions on the rows of egress heads. Call them through `in_database`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction

from central_portal.database import DatabaseClock
from central_portal.facilities.models import FacilityHead
from central_portal.link.heads import kept_after
from central_portal.link.ports import EgressHead, HeadNews


@dataclass(frozen=True, slots=True)
class HeadRow:
    """The highest head that a facility's agent ever said, and the first that contradicts it; times are the database's."""

    head: EgressHead
    said_at: float | None
    complaint: str
    complained_at: float | None


def keep(news: Mapping[str, HeadNews]) -> dict[str, HeadNews]:
    """See `link.ports.Registry.keep_heads`."""
    kept = {}
    with transaction.atomic():
        for slug in sorted(news):  # in one order, so that two hubs do not wait in a circle
            kept[slug] = _keep(slug, news[slug])
    return kept


def _keep(slug: str, news: HeadNews) -> HeadNews:
    FacilityHead.objects.get_or_create(slug=slug, defaults={"sequence": 0, "hash": ""})
    row = FacilityHead.objects.select_for_update().get(slug=slug)
    before = HeadNews(EgressHead(row.sequence, row.hash), row.complaint)
    after = kept_after(before, news)
    changes: dict[str, object] = {}
    if after.complaint != before.complaint:
        changes |= {"complaint": after.complaint, "complained_at": DatabaseClock()}
    if after.head != before.head:
        changes |= {"sequence": after.head.sequence, "hash": after.head.hash, "said_at": DatabaseClock()}
    if changes:
        FacilityHead.objects.filter(slug=slug).update(**changes)
    return after


def kept(facility_id: str) -> EgressHead:
    """The head that is kept of one facility."""
    row = FacilityHead.objects.filter(slug=facility_id).first()
    return EgressHead(row.sequence, row.hash) if row is not None else EgressHead()


def heads() -> dict[str, HeadRow]:
    """What is kept of each facility."""
    return {
        row.slug: HeadRow(EgressHead(row.sequence, row.hash), row.said_at, row.complaint, row.complained_at)
        for row in FacilityHead.objects.exclude(sequence=0)
    }


def accept(facility_id: str) -> bool:
    """Believe the next head, whatever it is: the facility began its log anew. False when none was kept."""
    return FacilityHead.objects.filter(slug=facility_id).delete()[0] > 0
