"""Search of a facility's open datasets in the mirror: what strangers, and persons without a grant there, get."""

from __future__ import annotations

from django.db import connection
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Collate

from central_portal.database import in_database
from central_portal.mirror import store
from central_portal.mirror.models import OpenRecord
from shared import cursors
from shared.catalogue import Dataset, SearchPage, SearchQuery
from shared.errors import InvalidRequest, NotFound
from shared.techniques import narrower
from shared.wire.catalogue import decode_dataset

NO_DATASET = "There is no such dataset."
PARTLY = "The facility could not read all of its catalogue."


class MirrorSearch:
    """Implements `catalogue.services.OpenSearch`."""

    async def search(self, slug: str, query: SearchQuery) -> SearchPage | None:
        """See OpenSearch."""
        return await in_database(_search)(slug, query)

    async def get(self, slug: str, pid: str) -> Dataset | None:
        """See OpenSearch."""
        (standing,) = await in_database(store.standings)([slug])
        if standing.age is None:
            return None
        found = await in_database(store.datasets)(slug, "", 1, pid=pid) if store.is_text(pid) else []
        if not found:
            raise NotFound(NO_DATASET)
        return found[0]


def _search(slug: str, query: SearchQuery) -> SearchPage | None:
    (standing,) = store.standings([slug])
    if standing.age is None:
        return None
    begin = cursors.read(query.after, float, str) if query.after else None
    words = (query.text, query.sample, *query.proposals, *query.instruments, *query.techniques)
    if not all(map(store.is_text, words)) or (begin and not store.is_text(begin[1])):
        raise InvalidRequest("The question has characters that no text has.")
    rows = _narrowed(OpenRecord.objects.filter(facility=slug, kind=store.DATASET, gone=False), query)
    # The merged list is by code point; PostgreSQL's own order depends on its locale.
    place = Collate(F("pid"), "C") if connection.vendor == "postgresql" else F("pid")
    rows = rows.annotate(place=place)
    if begin:
        rank, pid = begin
        rows = rows.filter(Q(rank__gt=rank) | Q(rank=rank, place__gt=pid))
    found = list(rows.order_by("rank", "place").values_list("rank", "pid", "payload")[: query.limit + 1])
    page = found[: query.limit]
    after = cursors.write(*page[-1][:2]) if len(found) > query.limit else ""
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
            any_of |= Q(terms__contains=f"\n{term}\n")
        rows = rows.filter(any_of)
    return rows
