"""Merging pages of many facilities: order, cursors and what is not trusted."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central_portal.catalogue.logic import (
    FacilityAnswer,
    Found,
    Position,
    facets,
    is_honest,
    merge,
    read_cursor,
    trimmed,
    write_cursor,
)
from shared.catalogue import Dataset, SearchPage, UnreadDatasets, sort_key
from shared.errors import InvalidRequest
from shared.facilities import Outcome


def dataset(pid: str, started: float | None) -> Dataset:
    return Dataset(pid, "", "P1", "I1", "", "", started, None, 1, 1, is_open=True)


def rows(facility: int, times: list[int | None]) -> list[Dataset]:
    return sorted(
        (dataset(f"{facility}-{n}", None if t is None else float(t)) for n, t in enumerate(times)), key=sort_key
    )


def look(catalogue: list[Dataset], position: Position, size: int, most: int) -> SearchPage:
    """What a facility answers whose pages hold `most`; its positions are places in its list."""
    start, limit = int(position.after or 0), min(most, size + position.skip)
    more = start + limit < len(catalogue)
    page = SearchPage(tuple(catalogue[start : start + limit]), str(start + limit) if more else "")
    assert is_honest(page, limit, position.after)
    return trimmed(page, position)


def walk(catalogues: dict[str, list[Dataset]], size: int, most: int, silent: list[set[str]]) -> list[Found]:
    """Every page to the end; in round n the facilities of `silent[n]` do not answer."""
    seen: list[Found] = []
    cursor = ""
    for turn in range(500):
        positions = read_cursor(cursor)
        answers = []
        for slug, catalogue in catalogues.items():
            position = positions.get(slug, Position())
            if position.exhausted or (positions and slug not in positions):
                continue
            if turn < len(silent) and slug in silent[turn]:
                answers.append(FacilityAnswer(slug, Outcome.TIMED_OUT))
            else:
                answers.append(FacilityAnswer(slug, Outcome.OK, look(catalogue, position, size, most)))
        merged = merge(answers, positions, size)
        assert len(merged.found) <= size
        seen += merged.found
        if not merged.cursor:
            return seen
        cursor = merged.cursor
    raise AssertionError("the pages never end")


def naive(answers: list[FacilityAnswer], limit: int) -> list[Found]:
    """What `merge` finds, from every dataset of every page."""
    ranks = [(sort_key(d), a.facility_id, d) for a in answers for d in a.page.datasets]
    ends = [(sort_key(a.page.datasets[-1]), a.facility_id) for a in answers if a.page.next and a.page.datasets]
    nothing_known = any(a.page.next and not a.page.datasets for a in answers)
    reach = [] if nothing_known else [rank for rank in ranks if not ends or rank[:2] <= min(ends)]
    return [Found(slug, d) for _, slug, d in sorted(reach, key=lambda rank: rank[:2])[:limit]]


TIMES = st.lists(st.lists(st.one_of(st.none(), st.integers(0, 30)), max_size=25), min_size=1, max_size=4)


@given(times=TIMES, size=st.integers(1, 7), most=st.integers(1, 9))
@settings(max_examples=150, deadline=None)
def test_paging_keeps_the_order_and_neither_repeats_nor_drops(
    times: list[list[int | None]], size: int, most: int
) -> None:
    """Also when the pages of a facility are smaller than what the merged page and its skipped part would need."""
    catalogues = {f"f{i}": rows(i, found) for i, found in enumerate(times)}
    seen = walk(catalogues, size, max(size, most), silent=[])
    wanted = sorted((sort_key(d), slug) for slug, catalogue in catalogues.items() for d in catalogue)
    assert [(sort_key(f.dataset), f.facility_id) for f in seen] == wanted


@given(times=TIMES, size=st.integers(1, 7), silent=st.lists(st.sets(st.sampled_from(["f0", "f1"])), max_size=6))
@settings(max_examples=100, deadline=None)
def test_a_facility_that_is_away_for_a_page_loses_and_repeats_nothing(
    times: list[list[int | None]], size: int, silent: list[set[str]]
) -> None:
    catalogues = {f"f{i}": rows(i, found) for i, found in enumerate(times)}
    seen = [(f.facility_id, f.dataset.pid) for f in walk(catalogues, size, 100, silent)]
    assert len(seen) == len(set(seen))
    for slug, catalogue in catalogues.items():
        own = [pid for facility, pid in seen if facility == slug]
        assert own == [d.pid for d in catalogue][: len(own)]


@given(times=TIMES, limit=st.integers(1, 30), goes_on=st.sets(st.integers(0, 3)))
@settings(max_examples=150, deadline=None)
def test_merging_reads_only_what_is_shown_and_finds_what_the_naive_merge_finds(
    times: list[list[int | None]], limit: int, goes_on: set[int]
) -> None:
    answers, read = [], []

    def look_at(found: Dataset) -> Dataset:
        read.append(found)
        return found

    for number, found in enumerate(times):
        whole = rows(number, found)
        unread = UnreadDatasets([sort_key(d) for d in whole], whole, look_at)
        page = SearchPage(unread, next="on" if number in goes_on else "")
        assert is_honest(page, 100)
        answers.append(FacilityAnswer(f"f{number}", Outcome.OK, page))
    assert read == []
    merged = merge(answers, {}, limit)
    assert read == [f.dataset for f in merged.found]
    assert list(merged.found) == naive(answers, limit)


def test_what_may_have_something_in_between_is_held_back() -> None:
    newest, old = dataset("a", 100.0), dataset("z", 1.0)
    merged = merge(
        [
            FacilityAnswer("alpha", Outcome.OK, SearchPage((newest,), next="more")),
            FacilityAnswer("beta", Outcome.OK, SearchPage((old,))),
        ],
        {},
        10,
    )
    assert [f.dataset for f in merged.found] == [newest]
    assert read_cursor(merged.cursor) == {"alpha": Position("more"), "beta": Position()}


def test_an_empty_page_that_goes_on_does_not_end_the_search() -> None:
    merged = merge([FacilityAnswer("alpha", Outcome.OK, SearchPage((), next="on"))], {}, 10)
    assert merged.found == ()
    assert read_cursor(merged.cursor) == {"alpha": Position("on")}


def test_when_nobody_can_be_reached_there_is_no_next_page() -> None:
    answers = [FacilityAnswer("alpha", Outcome.OFFLINE), FacilityAnswer("beta", Outcome.TIMED_OUT)]
    assert merge(answers, {}, 10).cursor == ""


def test_equal_datasets_of_two_facilities_are_two() -> None:
    same = dataset("p", 1.0)
    answers = [FacilityAnswer(slug, Outcome.OK, SearchPage((same,))) for slug in ("alpha", "beta")]
    assert [f.facility_id for f in merge(answers, {}, 10).found] == ["alpha", "beta"]


@pytest.mark.parametrize(
    ("page", "what"),
    [
        (SearchPage((dataset("a", 2.0), dataset("b", 1.0), dataset("c", 0.0))), "more than asked"),
        (SearchPage((dataset("a", 1.0), dataset("b", 2.0))), "oldest first"),
        (SearchPage((dataset("a", None), dataset("b", 2.0))), "without a time first"),
        (SearchPage((dataset("a", 2.0), dataset("a", 1.0))), "one pid twice"),
        (SearchPage((dataset("a", 2.0),), next="here"), "going in a circle"),
    ],
)
def test_a_page_that_breaks_its_promise_is_not_honest(page: SearchPage, what: str) -> None:
    assert not is_honest(page, 2, after="here"), what


@pytest.mark.parametrize(
    "cursor",
    [
        "x", "!!!!", "e30", "W10=", "bnVsbA==", "eyJhIjogM30=", "eyJhIjogWyJ4Il19", "eyJhIjogWyJ4IiwgLTFdfQ==",
        "eyJhIjogWzEsIDFdfQ==", "é", "WyI=" * 3, "W1tb" * 20_000,
    ],
)  # fmt: skip
def test_a_cursor_that_is_none_of_ours_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        read_cursor(cursor)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,5}", fullmatch=True),
        st.one_of(
            st.just(Position(exhausted=True)), st.builds(Position, st.text(max_size=20), st.integers(0, 100))
        ),
        min_size=1,
    )
)
def test_a_cursor_survives_the_way_to_the_client_and_back(positions: dict[str, Position]) -> None:
    assert read_cursor(write_cursor(positions)) == positions


def test_facets_count_most_frequent_first_and_leave_out_the_empty() -> None:
    assert [(f.id, f.count) for f in facets(["b", "a", "", "b", "c", "a", "b"])] == [("b", 3), ("a", 2), ("c", 1)]
