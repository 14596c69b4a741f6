"""Merging pages of many facilities: order, cursors and what is not trusted; the same for datasets and proposals."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central_portal.catalogue.logic import facets, suggested
from central_portal.catalogue.merging import (
    START,
    FacilityAnswer,
    Found,
    Merged,
    Page,
    Position,
    is_honest,
    merge,
    read_cursor,
    trimmed,
    write_cursor,
)
from shared import cursors
from shared.catalogue import (
    Dataset,
    Order,
    Proposal,
    ProposalPage,
    SearchPage,
    UnreadDatasets,
    key,
    sort_key,
)
from shared.errors import InvalidRequest
from shared.facilities import Outcome


def dataset(pid: str, started: float | None) -> Dataset:
    return Dataset(pid, "", "P1", "I1", "", "", started, None, 1, 1, is_open=True)


def proposal(pid: str, started: float | None) -> Proposal:
    return Proposal(pid, started=started)


KINDS: dict[str, tuple[Callable[[str, float | None], Any], Callable[[tuple[Any, ...], str], Page[Any]]]] = {
    "datasets": (dataset, lambda found, after: SearchPage(found, after)),
    "proposals": (proposal, lambda found, after: ProposalPage(found, after)),
}


class Site:
    """A facility: its records in the order that is asked of it. Its cursors are places in that order."""

    def __init__(self, kind: str, order: Order, slug: str, times: Sequence[int | None], most: int) -> None:
        self._make, self._page = KINDS[kind]
        self._slug, self._order, self._most = slug, order, most
        self.records: list[Any] = []
        for time in times:
            self.put(time)
        self.steady = [record.pid for record in self.records]

    def put(self, time: int | None) -> None:
        number = len(self.records)
        # Equal times are ties; pids of one facility are no order of arrival, and those of two may be equal.
        self.records.append(self._make(f"{(7 * number) % 11}-{number}", None if time is None else float(time)))
        self.records.sort(key=self.place)

    def place(self, record: Any) -> tuple[Any, ...]:
        """Where it stands; a match is judged by something that the centre does not know."""
        judged = zlib.crc32(f"{self._slug}:{record.pid}".encode()) % 5 if self._order is Order.RELEVANCE else 0
        return (judged, *key(record.started, record.pid))

    def answer(self, position: Position, limit: int) -> FacilityAnswer[Any]:
        """What the centre makes of its answer. A page holds `most`, also when more was asked for."""
        wanted = limit + position.skip
        after = tuple(cursors.read(position.after, int, float, str)) if position.after else ()
        left = [record for record in self.records if self.place(record) > after]
        shown = tuple(left[: min(wanted, self._most)])
        page = self._page(shown, cursors.write(*self.place(shown[-1])) if len(left) > len(shown) else "")
        assert is_honest(page, wanted, position.after, self._order)
        return FacilityAnswer(self._slug, Outcome.OK, trimmed(page, position, self._order))


class Walk:
    """Follows the merged pages to the end. `silent[n]` do not answer in turn n; `again` turns' answers get lost."""

    def __init__(self, sites: dict[str, Site], order: Order, size: int) -> None:
        self.sites, self.order, self.size = sites, order, size
        self.seen: list[tuple[str, Any]] = []
        self.named: set[str] = set()

    def page(self, cursor: str, silent: set[str]) -> Merged[Any]:
        positions = read_cursor(cursor)
        answers: list[FacilityAnswer[Any]] = []
        for slug, site in self.sites.items():
            position = positions.get(slug, START)
            if position.exhausted or (positions and slug not in positions):
                continue
            answers.append(
                FacilityAnswer(slug, Outcome.TIMED_OUT) if slug in silent else site.answer(position, self.size)
            )
        return merge(answers, positions, self.size, order=self.order)

    def go(self, silent: list[set[str]], coming: list[tuple[str, int]], again: set[int]) -> None:
        cursor = ""
        for turn in range(500):
            quiet = silent[turn] if turn < len(silent) else set()
            merged = self.page(cursor, quiet)
            if turn in again:
                repeated = self.page(cursor, quiet)
                assert (repeated.found, repeated.cursor) == (merged.found, merged.cursor)
            assert len(merged.found) <= self.size
            self.seen += [(found.facility_id, found.record) for found in merged.found]
            self.named = {answer.facility_id for answer in merged.answers if answer.outcome is Outcome.TIMED_OUT}
            if not merged.cursor:
                return
            cursor = merged.cursor
            if turn < len(coming) and coming[turn][0] in self.sites:
                self.sites[coming[turn][0]].put(coming[turn][1])
        raise AssertionError("the pages never end")

    def of(self, slug: str) -> list[Any]:
        return [record for facility, record in self.seen if facility == slug]


TIMES = st.lists(st.lists(st.one_of(st.none(), st.integers(0, 30)), max_size=25), min_size=1, max_size=4)
SLUGS = st.sampled_from(["f0", "f1", "f2"])
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)
EVERY_ORDER = pytest.mark.parametrize("order", Order)


def sites_of(kind: str, order: Order, times: list[list[int | None]], most: int) -> dict[str, Site]:
    return {f"f{i}": Site(kind, order, f"f{i}", found, most) for i, found in enumerate(times)}


@EVERY_KIND
@EVERY_ORDER
@given(times=TIMES, size=st.integers(1, 7), most=st.integers(1, 9), again=st.sets(st.integers(0, 9)))
@settings(max_examples=100, deadline=None)
def test_paging_keeps_the_order_and_neither_repeats_nor_drops(
    kind: str, order: Order, times: list[list[int | None]], size: int, most: int, again: set[int]
) -> None:
    """Also when the pages of a facility are smaller than what is asked for, and whatever the size of ours."""
    walk = Walk(sites_of(kind, order, times, most), order, size)
    walk.go([], [], again)
    places = [
        (key(record.started, record.pid) if order is Order.NEWEST else place, slug, record)
        for slug, site in walk.sites.items()
        for place, record in enumerate(site.records)
    ]
    assert walk.seen == [(slug, record) for _, slug, record in sorted(places, key=lambda each: each[:2])]


@EVERY_KIND
@EVERY_ORDER
@given(
    times=TIMES, size=st.integers(1, 7), most=st.integers(1, 9), silent=st.lists(st.sets(SLUGS), max_size=6),
    coming=st.lists(st.tuples(SLUGS, st.integers(0, 40)), max_size=12), again=st.sets(st.integers(0, 9)),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_who_is_away_for_a_page_and_what_comes_between_pages_lose_and_repeat_nothing(
    kind: str, order: Order, times: list[list[int | None]], size: int, most: int, silent: list[set[str]],
    coming: list[tuple[str, int]], again: set[int],
) -> None:  # fmt: skip
    """Records arrive in the order by time alone: a match that is judged anew may move past the reader."""
    walk = Walk(sites_of(kind, order, times, most), order, size)
    walk.go(silent, coming if order is Order.NEWEST else [], again)
    for slug, site in walk.sites.items():
        own = walk.of(slug)
        assert len({record.pid for record in own}) == len(own), "nothing is shown twice"
        assert own == sorted(own, key=site.place), "each facility's order is kept"
        if slug in walk.named:
            assert [r.pid for r in own if r.pid in site.steady] == [
                r.pid for r in site.records if r.pid in site.steady
            ][: len([r for r in own if r.pid in site.steady])], "who is missing at the end has lost nothing before"
        else:
            assert {record.pid for record in own} >= set(site.steady), (
                "nothing is lost, or who is missing is named"
            )


def naive(answers: list[FacilityAnswer[Dataset]], limit: int) -> list[Found[Dataset]]:
    """What `merge` finds, from every dataset of every page."""
    ranks = [(sort_key(d), a.facility_id, d) for a in answers for d in a.page.records]
    ends = [(sort_key(a.page.records[-1]), a.facility_id) for a in answers if a.page.next and a.page.records]
    nothing_known = any(a.page.next and not a.page.records for a in answers)
    reach = [] if nothing_known else [rank for rank in ranks if not ends or rank[:2] <= min(ends)]
    return [Found(slug, d) for _, slug, d in sorted(reach, key=lambda rank: rank[:2])[:limit]]


@given(times=TIMES, limit=st.integers(1, 30), goes_on=st.sets(st.integers(0, 3)))
@settings(max_examples=150, deadline=None)
def test_merging_reads_only_what_is_shown_and_finds_what_the_naive_merge_finds(
    times: list[list[int | None]], limit: int, goes_on: set[int]
) -> None:
    answers: list[FacilityAnswer[Dataset]] = []
    read: list[Dataset] = []

    def look_at(found: Dataset) -> Dataset:
        read.append(found)
        return found

    for number, found in enumerate(times):
        rows = (dataset(f"{number}-{n}", None if t is None else float(t)) for n, t in enumerate(found))
        whole = sorted(rows, key=sort_key)
        unread = UnreadDatasets([sort_key(d) for d in whole], whole, look_at)
        page = SearchPage(unread, next="on" if number in goes_on else "")
        assert is_honest(page, 100)
        answers.append(FacilityAnswer(f"f{number}", Outcome.OK, page))
    assert read == []
    merged = merge(answers, {}, limit)
    assert read == [f.record for f in merged.found]
    assert list(merged.found) == naive(answers, limit)


def test_what_may_have_something_in_between_is_held_back() -> None:
    newest, old = dataset("a", 100.0), dataset("z", 1.0)
    answers = [
        FacilityAnswer("alpha", Outcome.OK, SearchPage((newest,), next="more")),
        FacilityAnswer("beta", Outcome.OK, SearchPage((old,))),
    ]
    merged = merge(answers, {}, 10)
    assert [f.record for f in merged.found] == [newest]
    assert read_cursor(merged.cursor) == {"alpha": Position("more", seen=1), "beta": Position()}
    best = merge(answers, {}, 10, order=Order.RELEVANCE)
    assert [f.record for f in best.found] == [newest], "the second place of alpha is not known yet"


def test_the_best_of_each_comes_before_the_second_of_any() -> None:
    long = SearchPage(tuple(dataset(f"a{n}", None) for n in range(3)))
    answers = [
        FacilityAnswer("beta", Outcome.OK, SearchPage((dataset("b0", 1.0), dataset("b1", 9.0)))),
        FacilityAnswer("alpha", Outcome.OK, long),
    ]
    merged = merge(answers, {}, 10, order=Order.RELEVANCE)
    assert [f.record.pid for f in merged.found] == ["a0", "b0", "a1", "b1", "a2"]


def test_an_empty_page_that_goes_on_does_not_end_the_search() -> None:
    merged = merge([FacilityAnswer("alpha", Outcome.OK, SearchPage((), next="on"))], {}, 10)
    assert merged.found == ()
    assert read_cursor(merged.cursor) == {"alpha": Position("on")}


def test_when_nobody_can_be_reached_there_is_no_next_page() -> None:
    answers: list[FacilityAnswer[Any]] = [
        FacilityAnswer("alpha", Outcome.OFFLINE), FacilityAnswer("beta", Outcome.TIMED_OUT)
    ]  # fmt: skip
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
        (ProposalPage((proposal("a", 1.0), proposal("b", 2.0))), "oldest first"),
        (ProposalPage((proposal("a", 2.0), proposal("a", 1.0))), "one pid twice"),
    ],
)
def test_a_page_that_breaks_its_promise_is_not_honest(page: Page[Any], what: str) -> None:
    assert not is_honest(page, 2, after="here"), what
    assert is_honest(page, 2, after="here", order=Order.RELEVANCE) is ("first" in what), (
        "matches are not judged here"
    )


@pytest.mark.parametrize(
    "cursor",
    [
        "x", "!!!!", "e30", "W10=", "bnVsbA==", "eyJhIjogM30=", "eyJhIjogWyJ4Il19", "eyJhIjogWyJ4IiwgLTFdfQ==",
        "eyJhIjogWzEsIDFdfQ==", "é", "WyI=" * 3, "W1tb" * 20_000,
        *(base64.urlsafe_b64encode(plain.encode()).decode() for plain in (
            '{"a": ["x", 3]}', '{"a": [1, "x", 1, NaN, "p"]}', '{"a": [1, "x", 101, 0.5, "p"]}', '{"a": [-1, "x"]}',
            '{"a": [1, "x", 1]}', '{"a": [1, "x", 1, 0.5, 7]}', '{"a": null}', "[[1]]",
        )),
    ],
)  # fmt: skip
def test_a_cursor_that_is_none_of_ours_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        read_cursor(cursor)


PLACES = st.tuples(st.floats(allow_nan=False), st.text(max_size=20))
POSITIONS = st.one_of(
    st.just(Position(exhausted=True)),
    st.builds(Position, st.text(max_size=20), st.just(0), st.integers(0, 10**9)),
    st.builds(Position, st.text(max_size=20), st.integers(0, 100), st.integers(0, 10**9), PLACES),
)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), POSITIONS, min_size=1))
def test_a_cursor_survives_the_way_to_the_client_and_back(positions: dict[str, Position]) -> None:
    assert read_cursor(write_cursor(positions)) == positions


def test_facets_count_most_frequent_first_and_leave_out_the_empty() -> None:
    assert [(f.id, f.count) for f in facets(["b", "a", "", "b", "c", "a", "b"])] == [("b", 3), ("a", 2), ("c", 1)]


def test_techniques_are_suggested_by_the_beginnings_of_a_labels_words() -> None:
    assert "PaNET01196" in suggested("absorption spec")
    assert "PaNET01196" in suggested("X-RAY absorp")
    assert suggested("absorption")[0] != suggested("")
    assert len(suggested("x")) <= 20
    assert suggested("") == suggested("  ") == suggested("nosuchtechnique") == suggested("\0" * 500) == ()
