"""Exact counts over the open datasets of the mirror, by facility, instrument, technique and year."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from django.db.models import Count, Min

from central_portal.catalogue.logic import Facet
from central_portal.mirror import store
from central_portal.mirror.models import MirroredFacility, OpenRecord

K = TypeVar("K", str, int)
SHOWN = 100
"""Most values of one kind, the most frequent."""
GROUPS = 50_000
"""Most groups of one instrument, year and set of techniques that are counted through for one facility."""
KEPT = 256
"""Most facilities whose counts are kept."""


@dataclass(frozen=True, slots=True)
class OpenFacets:
    """Counts of datasets, merged over facilities; all but `facilities` are None when one has more than GROUPS to count through.

    A dataset without an instrument, technique or time counts in no value of that kind; one with two techniques in both.
    """

    facilities: tuple[Facet, ...]
    instruments: tuple[Facet, ...] | None
    techniques: tuple[Facet, ...] | None
    years: tuple[Facet, ...] | None


@dataclass(frozen=True, slots=True)
class Counted:
    """One facility's counts; None when it has too many groups."""

    total: int
    instruments: Mapping[str, int] | None
    techniques: Mapping[str, int] | None
    years: Mapping[int, int] | None


class OpenCounts:
    """Counts a facility again only when its open datasets have changed, so that asking costs little. Runs in the database's threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[int, Counted]] = OrderedDict()

    def facets(self, slugs: Collection[str]) -> OpenFacets:
        """Of the open datasets of these facilities: each kind is exact, most frequent first, then by name; years from the newest."""
        editions = dict(MirroredFacility.objects.filter(slug__in=slugs).values_list("slug", "edition"))
        counted = {slug: self._of(slug, edition) for slug, edition in editions.items()}
        totals = {slug: each.total for slug, each in counted.items() if each.total}
        years = _sum([each.years for each in counted.values()])
        return OpenFacets(
            _ranked(totals) or (),
            _ranked(_sum([each.instruments for each in counted.values()])),
            _ranked(_sum([each.techniques for each in counted.values()])),
            None if years is None else tuple(Facet(str(y), years[y]) for y in sorted(years, reverse=True)[:SHOWN]),
        )

    def _of(self, slug: str, edition: int) -> Counted:
        # The edition was read before what is counted: a change in between is counted again, never missed.
        kept = self._kept.get(slug)
        if kept is None or kept[0] != edition:
            kept = self._kept[slug] = (edition, _count(slug))
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return kept[1]


def _count(slug: str) -> Counted:
    """One query that an index answers alone, and one for the techniques of each set."""
    rows = OpenRecord.objects.filter(kind=store.DATASET, facility=slug, gone=False).order_by()
    groups = rows.values("instrument", "year", "term_set").annotate(n=Count("*"), one=Min("id"))
    found = list(groups.values_list("instrument", "year", "term_set", "n", "one")[: GROUPS + 1])
    if len(found) > GROUPS:
        return Counted(rows.count(), None, None, None)
    instruments, years, sets = Counter[str](), Counter[int](), Counter[str]()
    an_example = {}
    for instrument, year, term_set, number, one in found:
        instruments.update({instrument: number} if instrument else {})
        years.update({year: number} if year is not None else {})
        sets.update({term_set: number} if term_set else {})
        an_example[term_set] = one
    techniques = _techniques({an_example[term_set]: number for term_set, number in sets.items()})
    return Counted(sum(number for *_, number, _ in found), instruments, techniques, years)


def _techniques(sets: Mapping[int, int]) -> Counter[str]:
    """By each technique of the sets; `sets` says how often the one occurs that a record, by id, has."""
    counts: Counter[str] = Counter()
    ids = sorted(sets)
    for first in range(0, len(ids), 500):
        some = OpenRecord.objects.filter(id__in=ids[first : first + 500])
        for one, terms in some.values_list("id", "terms"):
            for term in set(filter(None, terms.split("\n"))):
                counts[term] += sets[one]
    return counts


def _sum(parts: Collection[Mapping[K, int] | None]) -> Counter[K] | None:
    whole: Counter[K] = Counter()
    for part in parts:
        if part is None:
            return None
        whole.update(part)
    return whole


def _ranked(counts: Mapping[str, int] | None) -> tuple[Facet, ...] | None:
    if counts is None:
        return None
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return tuple(Facet(value, number) for value, number in ranked[:SHOWN])
