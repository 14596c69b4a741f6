"""Search of a facility's open datasets in the mirror: what strangers, and persons without a grant there, get."""

from __future__ import annotations

import base64
import json

from django.db import connection
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Collate

from central_portal.database import in_database
from central_portal.mirror import store
from central_portal.mirror.models import OpenRecord
from shared.catalogue import SearchPage, SearchQuery
from shared.errors import InvalidRequest
from shared.techniques import narrower
from shared.wire.catalogue import decode_dataset

PARTLY = "The facility could not read all of its catalogue."


class MirrorSearch:
    """Implements `catalogue.services.OpenSearch`."""

    async def search(self, slug: str, query: SearchQuery) -> SearchPage | None:
        """See OpenSearch."""
        return await in_database(_search)(slug, query)


def _search(slug: str, query: SearchQuery) -> SearchPage | None:
    (standing,) = store.standings([slug])
    if standing.age is None:
        return None
    try:
        rows = _narrowed(OpenRecord.objects.filter(facility=slug, kind=store.DATASET, gone=False), query)
        # The merged list is by code point; PostgreSQL's own order depends on its locale.
        place = Collate(F("pid"), "C") if connection.vendor == "postgresql" else F("pid")
        rows = rows.annotate(place=place)
        if query.after:
            rank, pid = _position(query.after)
            rows = rows.filter(Q(rank__gt=rank) | Q(rank=rank, place__gt=pid))
        found = list(rows.order_by("rank", "place").values_list("rank", "pid", "payload")[: query.limit + 1])
    except ValueError:  # a NUL, or half a surrogate pair: no text has them
        raise InvalidRequest("The question has characters that no text has.") from None
    page = found[: query.limit]
    after = _cursor(*page[-1][:2]) if len(found) > query.limit else ""
    note = "" if standing.complete else PARTLY
    return SearchPage(tuple(decode_dataset(bytes(row[2])) for row in page), after, standing.complete, note)


def _narrowed(rows: QuerySet[OpenRecord], query: SearchQuery) -> QuerySet[OpenRecord]:
    if query.proposals:
        rows = rows.filter(proposal__in=query.proposals)
    if query.instruments:
        rows = rows.filter(instrument__in=query.instruments)
    if query.since is not None or query.until is not None:
        rows = rows.filter(rank__lt=store.NO_TIME)
    if query.since is not None:
        rows = rows.filter(rank__lte=-query.since)
    if query.until is not None:
        rows = rows.filter(rank__gte=-query.until)
    for word in query.text.casefold().split():
        rows = rows.filter(words__contains=f" {word}")
    for word in query.sample.casefold().split():
        rows = rows.filter(sample_words__contains=f" {word}")
    if query.techniques:
        any_of = Q()
        for term in sorted(frozenset[str]().union(*map(narrower, query.techniques))):
            any_of |= Q(terms__contains=f" {term} ")
        rows = rows.filter(any_of)
    return rows


def _cursor(rank: float, pid: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([rank, pid]).encode()).decode()


def _position(after: str) -> tuple[float, str]:
    try:
        rank, pid = json.loads(base64.b64decode(after, altchars=b"-_", validate=True))
        if type(rank) is not float or type(pid) is not str:
            raise ValueError
    except (ValueError, TypeError, RecursionError):
        raise InvalidRequest("This page cursor is not one of ours.") from None
    return rank, pid
