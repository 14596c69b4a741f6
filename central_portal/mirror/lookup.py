"""Open datasets by identifier or DOI in the mirror, at whichever facility they are."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db.models import Q, QuerySet

from central_portal.catalogue.finding import Found
from central_portal.database import in_database
from central_portal.mirror import store
from central_portal.mirror.models import OpenRecord
from shared.dois import canonical
from shared.wire.catalogue import decode_dataset

MOST = 20


class MirrorLookup:
    """Implements `catalogue.finding.OpenIndex`."""

    async def by_pid(self, slugs: Collection[str], pids: Collection[str]) -> Sequence[Found]:
        """See OpenIndex."""
        known = [pid for pid in pids if store.is_text(pid)]
        return await in_database(_found)(slugs, Q(pid__in=known)) if known else ()

    async def by_doi(self, slugs: Collection[str], doi: str) -> Sequence[Found]:
        """See OpenIndex."""
        wanted = canonical(doi)
        return await in_database(_found)(slugs, Q(doi=wanted)) if wanted and store.is_text(wanted) else ()


def _found(slugs: Collection[str], which: Q) -> list[Found]:
    named = rows(slugs, which).order_by("facility", "pid").values_list("facility", "payload")[:MOST]
    return [Found(slug, decode_dataset(bytes(payload))) for slug, payload in named]


def rows(slugs: Collection[str], which: Q) -> QuerySet[OpenRecord]:
    """The open datasets of these facilities that are meant."""
    return OpenRecord.objects.filter(which, facility__in=slugs, kind=store.DATASET, gone=False)
