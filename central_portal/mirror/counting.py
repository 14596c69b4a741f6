"""Exact counts over the open datasets of the mirror, by facility, instrument, technique and year."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db.models import Count, F, QuerySet
from django.db.models.expressions import Combinable

from central_portal.catalogue.logic import Facet
from central_portal.mirror import store
from central_portal.mirror.models import OpenRecord

SHOWN = 100
"""Most values of one kind, the most frequent."""
COMBINATIONS = 20_000
"""Most different sets of techniques that are counted through."""


@dataclass(frozen=True, slots=True)
class OpenFacets:
    """Counts of datasets. `techniques` is None when datasets name more than COMBINATIONS different sets of them.

    A dataset without an instrument, technique or time counts in no value of that kind; one with two techniques in both.
    """

    facilities: tuple[Facet, ...]
    instruments: tuple[Facet, ...]
    techniques: tuple[Facet, ...] | None
    years: tuple[Facet, ...]


def open_facets(slugs: Collection[str], since: float | None) -> OpenFacets:
    """Of the open datasets of these facilities, and of those changed since then alone; four queries.

    Each kind is exact and sorted: most frequent first, then by name; years from the newest.
    """
    rows = OpenRecord.objects.filter(kind=store.DATASET, gone=False, facility__in=slugs)
    if since is not None:
        rows = rows.filter(changed_at__gte=since)
    return OpenFacets(
        _counted(rows, store.by_code_point("facility"), "-n", "value"),
        _counted(rows.exclude(instrument=""), store.by_code_point("instrument"), "-n", "value"),
        _techniques(rows.exclude(terms="")),
        _counted(rows.filter(year__isnull=False), F("year"), "-value"),
    )


def _counted(rows: QuerySet[OpenRecord], value: Combinable, *order: str) -> tuple[Facet, ...]:
    groups = rows.annotate(value=value).values("value").annotate(n=Count("*")).order_by(*order)
    return tuple(Facet(str(value), number) for value, number in groups.values_list("value", "n")[:SHOWN])


def _techniques(rows: QuerySet[OpenRecord]) -> tuple[Facet, ...] | None:
    """One row a set of techniques, of which there are far fewer than datasets; taken apart here."""
    sets = rows.order_by().values("terms").annotate(n=Count("*")).values_list("terms", "n")
    found = list(sets[: COMBINATIONS + 1])
    if len(found) > COMBINATIONS:
        return None
    counts: Counter[str] = Counter()
    for terms, number in found:
        for term in set(_apart(terms)):
            counts[term] += number
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return tuple(Facet(term, number) for term, number in ranked[:SHOWN])


def _apart(terms: str) -> Iterable[str]:
    return filter(None, terms.split("\n"))
