"""Open data are searched in the mirror: as the facility itself would answer, and at no cost to it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facility_agent.ports.catalogue import STRANGER
from facility_agent.testing.memory_catalogue import MemoryCatalogue
from shared import cursors
from shared.catalogue import Changes, Dataset, Order, SearchQuery
from shared.commands import Answer
from shared.errors import FacilityUnavailable, InvalidRequest, NotFound
from shared.facilities import Outcome
from tests.integration.test_mirror import apply, dataset, fresh, in_db

pytestmark = pytest.mark.usefixtures("database")
WORDS = st.sampled_from(["Silver", "silver behenate", "GOLD", "", "Straße", "100%", "a_b", "ΣΊΣΥΦΟΣ", "'; drop"])
DATASETS = st.builds(
    Dataset, pid=st.text("abcAB-é", min_size=1, max_size=4), title=WORDS, proposal=st.sampled_from(["P1", "P2"]),
    instrument=st.sampled_from(["I22", "ID11", ""]), sample=WORDS, definition=st.sampled_from(["NXsas", ""]),
    started=st.one_of(st.none(), st.sampled_from([0.0, 1.0, 1.5, -5.0, 1e9])), ended=st.none(), size=st.just(1),
    files=st.just(1), is_open=st.just(True),
    techniques=st.sampled_from([(), ("PaNET01124",), ("PaNET01188", "PaNET01196"), ("x:other",), ("x:other one",)]),
)  # fmt: skip
QUERIES = st.builds(
    SearchQuery, text=st.sampled_from(["", "silv", "SILVER b", "100%", "%", "a_", "straSSE", "σίσυ", "p1 nxsas", "'", "s g 1 a b p n i x silver"]),
    sample=st.sampled_from(["", "gold", "beh", "_"]), proposals=st.sampled_from([(), ("P1",), ("P1", "P9")]),
    instruments=st.sampled_from([(), ("I22",)]), since=st.sampled_from([None, 0.0, 1.0]),
    until=st.sampled_from([None, 1.5, 1e9]), techniques=st.sampled_from([(), ("PaNET01124",), ("PaNET01196", "x:other")]),
    limit=st.integers(1, 5), order=st.sampled_from(Order),
)  # fmt: skip


def search() -> Any:
    from central_portal.mirror.searching import MirrorSearch

    return MirrorSearch()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(DATASETS, max_size=12, unique_by=lambda d: d.pid),
    queries=st.lists(QUERIES, min_size=1, max_size=6),
)
def test_the_mirror_answers_as_a_catalogue_does(rows: list[Dataset], queries: list[SearchQuery]) -> None:
    """Page by page, against the catalogue in memory, which judges row by row."""
    from central_portal.mirror.searching import _search

    slug, catalogue = fresh(), MemoryCatalogue({"P1", "P2"})
    catalogue.put(rows)
    apply(slug, "", Changes(tuple(rows), token="t:1", restart=True))
    for query in queries:
        ours, theirs = query, query
        while True:
            got, wanted = _search(slug, ours), asyncio.run(catalogue.search(theirs, STRANGER))
            assert got is not None
            assert tuple(got.page.datasets) == tuple(wanted.datasets)
            assert bool(got.page.next) == bool(wanted.next)
            if not got.page.next:
                break
            ours, theirs = replace(ours, after=got.page.next), replace(theirs, after=wanted.next)


async def test_the_best_match_first_through_graphql() -> None:
    """The first of each facility, then the second of each; without words the newest."""
    from tests.integration.portal import Portal

    one, two = sorted((fresh(), fresh()))
    portal = Portal(slugs=(one, two), open_data=search())
    rows = tuple(
        dataset(f"o{n}", title, started=float(n), sample="silver") for n, title in enumerate(["silver", "x", "y"])
    )
    await in_db(apply, one, "", Changes(rows, token="t:1", restart=True))
    rows = tuple(
        dataset(f"t{n}", title, started=9.0 - n, sample="silver") for n, title in enumerate(["x", "silver ore"])
    )
    await in_db(apply, two, "", Changes(rows, token="t:1", restart=True))
    asked = "query($q: SearchInput!, $a: String) { search(query: $q, first: 2, after: $a) { nodes { pid } outcomes { ageSeconds } pageInfo { endCursor hasNextPage } } }"

    async def pids(text: str, order: str) -> list[str]:
        found: list[str] = []
        after = None
        while True:
            answer = await portal.ask(asked, {"q": {"text": text, "order": order}, "a": after})
            page = answer["data"]["search"]
            found += [node["pid"] for node in page["nodes"]]
            assert all(0 <= outcome["ageSeconds"] < 60 for outcome in page["outcomes"])
            if not page["pageInfo"]["hasNextPage"]:
                return found
            after = page["pageInfo"]["endCursor"]

    assert await pids("silver", "RELEVANCE") == ["o0", "t1", "o2", "t0", "o1"]
    assert await pids("silver", "NEWEST") == await pids("", "RELEVANCE") == ["t0", "t1", "o2", "o1", "o0"]
    refused = await portal.ask(asked, {"q": {"order": "PRICE"}})
    assert refused["errors"]


@pytest.mark.parametrize(
    "cursor",
    ["x", "W10=", "WzEsMl0=", "[" * 400, "\ud800", cursors.write(1.0, "a\0"), cursors.write(1.0, "\ud800")],
)
async def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    slug = fresh()
    await in_db(apply, slug, "", Changes(token="t:1", restart=True))
    with pytest.raises(InvalidRequest):
        await search().search(slug, SearchQuery(after=cursor))


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x' or 1=1 --", "%", "_", "\\", "*", "(", "\n"])
async def test_strange_text_is_data(text: str) -> None:
    slug = fresh()
    await in_db(apply, slug, "", Changes(token="t:1", restart=True))
    for query in (
        SearchQuery(text=text), SearchQuery(sample=text), SearchQuery(proposals=(text,)), SearchQuery(techniques=(text,)),
    ):  # fmt: skip
        try:
            page = await search().search(slug, query)
        except InvalidRequest:
            continue
        assert page is not None
        assert page.page.datasets == ()


async def test_a_thousand_strangers_cost_no_facility_anything() -> None:
    from tests.integration.portal import Portal, dataset

    one, two, three = sorted((fresh(), fresh(), fresh()))
    centre = Portal(slugs=(one, two, three), open_data=search())

    async def asked(*_: Any) -> Answer:
        raise AssertionError("a facility was asked")

    for slug in (one, two):
        await centre.connect(slug, asked)
    rows = tuple(dataset(f"d{n}", float(n)) for n in range(7))
    await in_db(apply, one, "", Changes(rows, token="t:1", restart=True, age=5.0))
    await in_db(apply, three, "", Changes(rows, token="t:1", restart=True, age=5.0))
    found: list[tuple[str, str]] = []
    after, outcomes = "", dict[str, tuple[Outcome, str]]()
    while True:
        merged = await centre.services.search.search(None, SearchQuery(limit=3), [], after)
        found += [(each.facility_id, each.record.pid) for each in merged.found]
        if not after:
            outcomes = {a.facility_id: (a.outcome, a.problem.message if a.problem else "") for a in merged.answers}
        after = merged.cursor
        if not after:
            break
    assert found == [(slug, f"d{n}") for n in range(6, -1, -1) for slug in (one, three)]
    assert outcomes[one] == (Outcome.OK, "")
    assert outcomes[two][0] is Outcome.PARTIAL
    assert outcomes[three][0] is Outcome.PARTIAL, "what is known is shown, and that the facility is away"
    assert "away" in outcomes[three][1]
    ages = {a.facility_id: a.age_s for a in (await centre.services.search.search(None, SearchQuery(), [])).answers}
    assert all(ages[slug] is not None and 5 <= ages[slug] < 60 for slug in (one, three)), ages
    assert ages[two] is None, "it was never read"
    assert await centre.services.search.dataset(None, one, "d3") == rows[3]
    with pytest.raises(FacilityUnavailable):
        await centre.services.search.dataset(None, two, "d3")
    for pid in ("d9", "", "a\0b", "\ud800", "%"):
        with pytest.raises(NotFound):
            await centre.services.search.dataset(None, one, pid)
    for _ in range(1000):
        await centre.services.search.search(None, SearchQuery(text="title"), [one])
    assert centre.agents.asked == []


async def test_only_where_a_person_has_a_grant_the_facility_is_asked() -> None:
    from central_portal.identity.services import COOKIE
    from tests.integration.portal import Portal, dataset, finds

    mine, other = sorted((fresh(), fresh()))
    centre = Portal(slugs=(mine, other), open_data=search())
    await centre.connect(mine, finds(dataset("own", 5.0, is_open=False)))
    await centre.connect(other, finds(dataset("not asked", 9.0)))
    await in_db(apply, other, "", Changes((dataset("open", 1.0),), token="t:1", restart=True))
    cookie = await centre.person(f"ada-{mine}", mine)
    ada = await centre.identity.caller({COOKIE: cookie})
    merged = await centre.services.search.search(ada, SearchQuery(), [])
    assert [(f.facility_id, f.record.pid) for f in merged.found] == [(mine, "own"), (other, "open")]
    assert {a.facility_id: a.outcome for a in merged.answers} == {mine: Outcome.OK, other: Outcome.SIGN_IN_NEEDED}
    ages = {a.facility_id: a.age_s is not None for a in merged.answers}
    assert ages == {mine: False, other: True}, "only what the mirror said has an age"
    assert (await centre.services.search.dataset(ada, other, "open")).title == "Title open"
    assert {slug for slug, *_ in centre.agents.asked} == {mine}
