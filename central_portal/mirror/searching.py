"""Search of a facility's open datasets in the mirror: what strangers, and persons without a grant there, get."""

from __future__ import annotations

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.db.models.expressions import Combinable

from central_portal.catalogue.ports import OpenPage
from central_portal.database import in_database
from central_portal.mirror import store
from central_portal.mirror.models import OpenRecord
from shared import cursors
from shared.catalogue import Dataset, Order, Proposal, SearchPage, SearchQuery
from shared.errors import InvalidRequest, NotFound
from shared.limits import LIMITS
from shared.techniques import narrower
from shared.wire.catalogue import decode_dataset

NO_DATASET = "There is no such dataset."
NO_PROPOSAL = "There is no such proposal."
NO_TEXT = "The question has characters that no text has."
PARTLY = "The facility could not read all of its catalogue."


class MirrorSearch:
    """Implements `catalogue.ports.OpenData`."""

    async def search(self, slug: str, query: SearchQuery) -> OpenPage | None:
        """See OpenData."""
        return await in_database(_search)(slug, query)

    async def get(self, slug: str, pid: str) -> Dataset | None:
        """See OpenData."""
        if not await _is_read(slug):
            return None
        found = await in_database(store.datasets)(slug, "", 1, pid=pid) if store.is_text(pid) else []
        if not found:
            raise NotFound(NO_DATASET)
        return found[0]

    async def proposal(self, slug: str, pid: str) -> Proposal | None:
        """See OpenData."""
        if not await _is_read(slug):
            return None
        found = await in_database(store.proposals)(slug, "", 1, pid=pid) if store.is_text(pid) else []
        if not found:
            raise NotFound(NO_PROPOSAL)
        return found[0]


async def _is_read(slug: str) -> bool:
    (standing,) = await in_database(store.standings)([slug])
    return standing.age is not None


def _search(slug: str, query: SearchQuery) -> OpenPage | None:
    (standing,) = store.standings([slug])
    if standing.age is None:
        return None
    words = (query.text, query.sample, *query.proposals, *query.instruments, *query.techniques)
    if not all(map(store.is_text, words)):
        raise InvalidRequest(NO_TEXT)
    rows = _narrowed(OpenRecord.objects.filter(facility=slug, kind=store.DATASET, gone=False), query)
    order = ["misses", "rank", "place"] if query.order is Order.RELEVANCE else ["rank", "place"]
    rows = rows.annotate(place=store.by_code_point("pid"), misses=_misses(query.text))
    if query.after:
        rows = rows.filter(_after(query.after, order))
    found = list(rows.order_by(*order).values_list("misses", "rank", "pid", "payload")[: query.limit + 1])
    page = found[: query.limit]
    last = page[-1][-1 - len(order) : -1] if len(found) > query.limit else ()
    note = "" if standing.complete else PARTLY
    datasets = tuple(decode_dataset(bytes(row[-1])) for row in page)
    return OpenPage(
        SearchPage(datasets, cursors.write(*last) if last else "", standing.complete, note), standing.age
    )


def _misses(text: str) -> Combinable:
    """How many of the words are not in a dataset's title: the fewer, the better it matches."""
    each = (
        Case(When(title_words__contains=f" {word}", then=Value(0)), default=Value(1))
        for word in list(dict.fromkeys(text.casefold().split()))[: LIMITS.judged_words]
    )
    return sum(each, start=Value(0, output_field=IntegerField()))


def _after(cursor: str, order: list[str]) -> Q:
    """What stands after a place of this order."""
    begin = cursors.read(cursor, *(int, float, str)[-len(order) :])
    if not store.is_text(begin[-1]):
        raise InvalidRequest(NO_TEXT)
    later, equal = Q(), Q()
    for name, value in zip(order, begin, strict=True):
        later |= equal & Q(**{f"{name}__gt": value})
        equal &= Q(**{name: value})
    return later


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
