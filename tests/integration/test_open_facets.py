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
    """Over two facilities; after changes and deletions; of one facility alone; of what has changed since."""
    from central_portal.mirror import store
    from central_portal.mirror.counting import open_facets

    first, second, third = fresh(), fresh(), fresh()
    apply(first, "", Changes(tuple(one), (Proposal("P1", is_open=True),), token="t:1", restart=True))
    apply(second, "", Changes(tuple(two), token="t:1", restart=True))
    apply(third, "", Changes(tuple(two), token="t:1", restart=True))
    fresh_ones = [d for d in later if d.pid not in gone]
    apply(first, "t:1", Changes(tuple(fresh_ones), gone_datasets=tuple(gone), token="t:2"))
    now = {d.pid: d for d in one} | {d.pid: d for d in fresh_ones}
    rows = [(first, d) for pid, d in now.items() if pid not in gone]
    assert said(open_facets([first, second], None)) == by_hand([*rows, *((second, d) for d in two)])
    assert said(open_facets([first], None)) == by_hand(rows)
    moments = {c.pid: c.changed_at for c in store.changed([first], None, (0.0, 0), 100)[0] if c.dataset}
    for since in sorted(set(moments.values())):
        changed = [(slug, d) for slug, d in rows if moments[d.pid] >= since]
        assert said(open_facets([first], since)) == by_hand(changed)


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
    none = (await portal.ask(FACETS, {"s": "2999-01-01T00:00:00Z"}))["data"]["openDatasets"]
    assert none["facets"] == {"facilities": [], "instruments": [], "techniques": [], "years": []}


async def test_values_and_sets_of_techniques_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from central_portal.mirror import counting

    slug = fresh()
    rows = tuple(
        dataset(f"d{n}", instrument=f"I{n:03}", techniques=(f"x:{n}",)) for n in range(counting.SHOWN + 5)
    )
    await in_db(apply, slug, "", Changes(rows, token="t:1", restart=True))
    facets = await in_db(counting.open_facets, [slug], None)
    assert [f.id for f in facets.instruments] == [f"I{n:03}" for n in range(counting.SHOWN)]
    assert len(facets.techniques) == counting.SHOWN
    monkeypatch.setattr(counting, "COMBINATIONS", counting.SHOWN)
    assert (await in_db(counting.open_facets, [slug], None)).techniques is None


async def test_facets_are_counted_only_for_those_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.integration.portal import Portal

    counts: list[str] = []

    def counting(*_: Any) -> Any:
        counts.append("counted")
        raise RuntimeError("not asked for")

    monkeypatch.setattr("central_portal.api.open_data.open_facets", counting)
    portal = Portal(slugs=(fresh(),))
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
