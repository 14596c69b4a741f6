"""Facets of open data: exact, merged over facilities, as counting row by row says."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.catalogue import Changes, Dataset, Proposal
from tests.integration.test_mirror import apply, dataset, fresh, in_db

pytestmark = pytest.mark.usefixtures("database")
FACETS = """query($f: [ID!], $s: DateTime) { openDatasets(facilities: $f, updatedSince: $s, first: 1) {
  totalCount
  facets { facilities { ...F } instruments { ...F } techniques { ...F } years { ...F } }
} } fragment F on Facet { id title count }"""
TERMS = st.lists(
    st.sampled_from(["PaNET01196", "PaNET01188", "x:other", "x:o\\nther", 'x:"', "é"]), max_size=3
).map(tuple)
TIMES = st.one_of(
    st.none(), st.sampled_from([0.0, -0.5, -1e-7, 1e9, 1.7e9, -62135596800.0, 253402300799.0]),
    st.floats(-1e10, 1e11, allow_nan=False),
)  # fmt: skip
DATASETS = st.builds(
    Dataset, pid=st.text("abcdef", min_size=1, max_size=3), title=st.just("t"), proposal=st.just("P1"),
    instrument=st.sampled_from(["I22", "i22", "ID11", "Ä", "ab", "aB", ""]), sample=st.just(""), definition=st.just(""),
    started=TIMES, ended=st.none(), size=st.just(1), files=st.just(1), is_open=st.just(True), techniques=TERMS,
)  # fmt: skip
ROWS = st.lists(DATASETS, max_size=15, unique_by=lambda d: d.pid)


def counted(values: Any) -> list[tuple[str, int]]:
    return sorted(Counter(values).items(), key=lambda each: (-each[1], each[0]))


def by_hand(rows: list[tuple[str, Dataset]]) -> dict[str, list[tuple[str, int]]]:
    """Each row looked at."""
    years = Counter(datetime.fromtimestamp(d.started, UTC).year for _, d in rows if d.started is not None)
    return {
        "facilities": counted(slug for slug, _ in rows),
        "instruments": counted(d.instrument for _, d in rows if d.instrument),
        "techniques": counted(term for _, d in rows for term in set(d.techniques)),
        "years": [(str(year), years[year]) for year in sorted(years, reverse=True)],
    }


def said(facets: Any) -> dict[str, list[tuple[str, int]]]:
    kinds = ("facilities", "instruments", "techniques", "years")
    return {kind: [(facet.id, facet.count) for facet in getattr(facets, kind)] for kind in kinds}


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=ROWS, two=ROWS, later=ROWS, gone=st.sets(st.text("abcdef", min_size=1, max_size=3), max_size=4))
def test_facets_are_what_counting_rows_says(
    one: list[Dataset], two: list[Dataset], later: list[Dataset], gone: set[str]
) -> None:
    """Over two facilities and one; after changes, deletions and a new beginning; counted anew or kept."""
    from central_portal.mirror.counting import OpenCounts

    first, second, third = fresh(), fresh(), fresh()
    apply(first, "", Changes(tuple(one), (Proposal("P1", is_open=True),), token="t:1", restart=True))
    apply(second, "", Changes(tuple(two), token="t:1", restart=True))
    apply(third, "", Changes(tuple(two), token="t:1", restart=True))
    counts, of_second = OpenCounts(), [(second, d) for d in two]
    assert said(counts.facets([first, second])) == by_hand([*((first, d) for d in one), *of_second])
    fresh_ones = [d for d in later if d.pid not in gone]
    apply(first, "t:1", Changes(tuple(fresh_ones), gone_datasets=tuple(gone), token="t:2"))
    now = {d.pid: d for d in one} | {d.pid: d for d in fresh_ones}
    rows = [(first, d) for pid, d in now.items() if pid not in gone]
    for asked in (counts, counts, OpenCounts()):
        assert said(asked.facets([first, second])) == by_hand([*rows, *of_second])
        assert said(asked.facets([first])) == by_hand(rows)
        assert said(asked.facets([fresh()])) == by_hand([])
    apply(second, "t:1", Changes(tuple(one), token="t:2", restart=True))
    assert said(counts.facets([second])) == by_hand([(second, d) for d in one]), (
        "what a new beginning does not name"
    )


async def test_graphql_tells_the_same_and_names_what_it_counts() -> None:
    from tests.integration.portal import Portal

    one, two = sorted((fresh(), fresh()))
    portal = Portal(slugs=(one, two))
    rows = (
        dataset("a", techniques=("PaNET01196",), started=0.0), dataset("b", instrument="ID11", started=None),
        dataset("c", techniques=("PaNET01196", "x:other")),
    )  # fmt: skip
    await in_db(apply, one, "", Changes(rows, token="t:1", restart=True))
    await in_db(apply, two, "", Changes(rows[:1], token="t:1", restart=True))
    found = (await portal.ask(FACETS, {}))["data"]["openDatasets"]
    assert found["totalCount"] == 4
    said_of = {kind: [(f["title"], f["count"]) for f in facets] for kind, facets in found["facets"].items()}
    assert said_of == {
        "facilities": [(one.title(), 3), (two.title(), 1)],
        "instruments": [("I22", 3), ("ID11", 1)],
        "techniques": [("x-ray absorption spectroscopy", 3), ("x:other", 1)],
        "years": [("2001", 1), ("1970", 2)],
    }
    assert found["facets"]["facilities"][0]["id"] == f"Facility:{one}"
    assert found["facets"]["techniques"][0]["id"] == "http://purl.org/pan-science/PaNET/PaNET01196"
    narrow = (await portal.ask(FACETS, {"f": [f"Facility:{two}"]}))["data"]["openDatasets"]
    assert [f["count"] for f in narrow["facets"]["facilities"]] == [narrow["totalCount"]] == [1]
    since = (await portal.ask(FACETS, {"s": "2999-01-01T00:00:00Z"}))["data"]["openDatasets"]
    assert (since["totalCount"], since["facets"]) == (0, found["facets"])


async def test_values_and_groups_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from central_portal.mirror import counting

    slug, other = fresh(), fresh()
    number = counting.SHOWN + 5
    rows = tuple(dataset(f"d{n}", instrument=f"I{n:03}", techniques=(f"x:{n}",)) for n in range(number))
    await in_db(apply, slug, "", Changes(rows, token="t:1", restart=True))
    await in_db(apply, other, "", Changes(rows[:1], token="t:1", restart=True))
    facets = await in_db(counting.OpenCounts().facets, [slug])
    assert [f.id for f in facets.instruments] == [f"I{n:03}" for n in range(counting.SHOWN)]
    assert len(facets.techniques) == counting.SHOWN
    monkeypatch.setattr(counting, "GROUPS", counting.SHOWN)
    facets = await in_db(counting.OpenCounts().facets, [slug, other])
    assert (facets.instruments, facets.techniques, facets.years) == (None, None, None)
    assert [(f.id, f.count) for f in facets.facilities] == [(slug, number), (other, 1)], (
        "totals are exact all the same"
    )
    facets = await in_db(counting.OpenCounts().facets, [other])
    assert [(f.id, f.count) for f in facets.instruments] == [("I000", 1)]


async def test_a_facility_is_counted_again_only_when_its_datasets_have_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from central_portal.mirror import counting

    one, two = fresh(), fresh()
    for slug in (one, two):
        await in_db(apply, slug, "", Changes((dataset("a"),), token="t:1", restart=True))
    counted: list[str] = []
    honest = counting._count

    def count(slug: str) -> Any:
        counted.append(slug)
        return honest(slug)

    monkeypatch.setattr(counting, "_count", count)
    counts = counting.OpenCounts()
    for _ in range(100):
        await in_db(counts.facets, [one, two])
    assert sorted(counted) == sorted([one, two])
    await in_db(apply, one, "t:1", Changes(token="t:2"))  # a round in which nothing has changed
    await in_db(counts.facets, [one, two])
    assert len(counted) == 2
    await in_db(apply, one, "t:2", Changes(gone_datasets=("a",), token="t:3"))
    assert (await in_db(counts.facets, [one, two])).facilities[0].id == two
    assert counted[2:] == [one]
    monkeypatch.setattr(counting, "KEPT", 1)
    await in_db(counts.facets, [one, two, fresh()])
    assert len(counts._kept) <= 2


async def test_facets_are_counted_only_for_those_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.integration.portal import Portal

    counts: list[str] = []

    def counting(*_: Any) -> Any:
        counts.append("counted")
        raise RuntimeError("not asked for")

    portal = Portal(slugs=(fresh(),))
    monkeypatch.setattr(portal.services.open_counts, "facets", counting)
    plain = await portal.ask("{ openDatasets { totalCount mirrors { facility { slug } } edges { id } } }")
    assert "errors" not in plain
    assert counts == []
    for query in (
        "{ openDatasets { facets { years { id } } } }",
        "{ openDatasets { ... on OpenDatasetConnection { f: facets { years { id } } } } }",
        "{ openDatasets { ...C } } fragment C on OpenDatasetConnection { ...D } fragment D on OpenDatasetConnection { facets { years { id } } }",
    ):
        assert (await portal.ask(query))["errors"]
    assert len(counts) == 3
