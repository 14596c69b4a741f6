"""Pages of SciCat's order against brute force: whatever the guess of where a page begins, and whatever came or went."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility_agent.adapters.catalogue.scicat_paging import Order, Row, first, in_order
from facility_agent.adapters.catalogue.scicat_questions import Place, Range, position, where
from facility_agent.adapters.catalogue.scicat_records import Fields
from shared import cursors
from shared.catalogue import SearchQuery
from shared.errors import BackendError, InvalidRequest

PLACES = st.builds(Place, st.sampled_from([math.inf, 0.0, -1000.0, -2000.0, -3000.0]), st.sampled_from("abcdefgh"))
BOUNDS = st.none() | st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.0, 4.0])


def order_of(places: list[Place], lie: int = 0, span: Range | None = None) -> Order:
    async def rows(skip: int, limit: int) -> list[Row]:
        return [(place, {"bad": place.pid == "h"}) for place in places[skip : skip + limit]]

    async def before() -> int:
        return sum(span is not None and span.is_before(place) for place in places) + lie

    return Order(rows, before)


@given(st.sets(PLACES), st.none() | PLACES, BOUNDS, BOUNDS, st.none() | st.integers(0, 50), st.integers(1, 5))
def test_a_page_is_what_brute_force_finds(
    places: set[Place], after: Place | None, since: float | None, until: float | None, seen: int | None, most: int
) -> None:
    span, whole = Range(after, since, until), sorted(places)
    if after is None:
        seen = None
    expected = [
        place for place in whole
        if (after is None or place > after) and place.pid != "h"
        and (place.ms is not None or (since is None and until is None))
        and (since is None or place.ms is None or place.ms / 1000 >= since)
        and (until is None or place.ms is None or place.ms / 1000 <= until)
    ][:most]  # fmt: skip
    found = asyncio.run(first(order_of(whole, 0, span), span, seen, most, lambda row: not row["bad"]))
    assert [f.place for f in found] == expected
    assert all(whole[f.seen - 1] == f.place for f in found)


@pytest.mark.parametrize("lie", [-2, 3, 100])
async def test_a_count_that_does_not_agree_is_refused(lie: int) -> None:
    places = [Place(-float(1000 * n), "a") for n in range(20, 0, -1)]
    span = Range(None, None, 15.0)
    with pytest.raises(BackendError):
        await first(order_of(places, lie, span), span, None, 1, lambda _: True)


def test_rows_out_of_order_are_refused() -> None:
    for places in (
        [Place(0.0, "b"), Place(0.0, "a")],
        [Place(0.0, "a"), Place(0.0, "a")],
        [Place(math.inf, "a"), Place(0.0, "b")],
    ):
        with pytest.raises(BackendError):
            list(in_order([(place, {}) for place in places]))


def test_cursors() -> None:
    for place in (Place(math.inf, "20.1/é"), Place(-1_000.0, "x" * 300), Place(0.0, "")):
        text = cursors.write(place.later, place.pid, 7)
        assert position(text) == (place, 7)
        assert len(text) <= 512
    for bad in (
        (0, "a", 1), (0.0, "a", -1), (0.0, "a", 2**31), (math.nan, "a", 1), (-math.inf, "a", 1), (9e300, "a", 1), (0.0, "a"),
    ):  # fmt: skip
        with pytest.raises(InvalidRequest):
            position(cursors.write(*bad))
    with pytest.raises(InvalidRequest):
        cursors.read(cursors.write(True), int)


def test_counting_is_asked_by_time_and_pid() -> None:
    assert Range(None, 5.0, None).before({}, "t") is None
    assert Range(None, None, 1.0015).before({}, "t") == {
        "$and": [{}, {"$or": [{"t": {"$gt": "1970-01-01T00:00:01.001Z"}}]}]
    }
    assert Range(Place(math.inf, "p"), None, None).before({}, "t") == {
        "$and": [{}, {"$or": [{"t": {"$ne": None}}, {"t": None, "pid": {"$lte": "p"}}]}]
    }
    for extreme in (-9e99, 9e99):
        assert Range(None, None, extreme).before({}, "t") is not None


def test_text_is_a_pattern_of_no_ones_making() -> None:
    asked = where(SearchQuery(text="a.*(b"), set(), {}, Fields())
    assert asked["$and"][1]["$or"][0]["datasetName"]["$regex"] == r"(^|\W|_)a\.\*\(b"
    with pytest.raises(InvalidRequest):
        where(SearchQuery(text="\0"), set(), {}, Fields())
    assert where(SearchQuery(sample="x"), set(), {}, Fields())["$and"][1] == {"pid": {"$in": []}}, (
        "nothing has one"
    )
