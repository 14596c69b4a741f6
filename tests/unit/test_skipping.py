"""Lists that know only `skip`, against brute force: what is there all along comes once, whatever comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility_agent.adapters.catalogue.skipping import Moved, pages, whole
from shared.errors import BackendError

CHANGES = st.lists(st.lists(st.integers(0, 60), max_size=4), max_size=30)


class Listed:
    """Numbers in order. Before each answer those of the next change come, or go when they are there; `steady` ones stay."""

    def __init__(self, steady: set[int], changes: list[list[int]], most: int = 1000) -> None:
        self.steady, self.here, self.changes, self.most = steady, set(steady), list(changes), most
        self.asked: list[tuple[int, int]] = []

    async def __call__(self, skip: int, limit: int) -> Sequence[int]:
        self.asked.append((skip, limit))
        for one in self.changes.pop(0) if self.changes else ():
            if one not in self.steady:
                self.here ^= {one}
        return sorted(self.here)[skip : skip + min(limit, self.most)]


def read(ask: Listed, size: int) -> list[int]:
    async def all_of() -> list[int]:
        return [one async for part in pages(ask, lambda one: one, size) for one in part]

    return asyncio.run(all_of())


@given(st.sets(st.integers(0, 60)), CHANGES, st.integers(2, 9))
def test_what_is_there_all_along_comes_once_or_the_list_is_given_up(
    steady: set[int], changes: list[list[int]], size: int
) -> None:
    ask = Listed(steady, changes)
    try:
        found = read(ask, size)
    except Moved:
        assert any(changes), "a list that stands still is read"
        return
    assert [one for one in found if one in steady] == sorted(steady)


@given(st.sets(st.integers(0, 60)), st.lists(st.lists(st.integers(0, 60), max_size=1), max_size=30))
def test_one_change_between_two_answers_never_ends_it(steady: set[int], changes: list[list[int]]) -> None:
    found = read(Listed(steady, changes), 4)
    assert [one for one in found if one in steady] == sorted(steady)


@given(st.sets(st.integers(0, 60)), st.integers(2, 9), st.integers(2, 9))
def test_a_bound_of_the_servers_own_is_no_end(here: set[int], size: int, most: int) -> None:
    ask = Listed(here, [], most)
    assert read(ask, size) == sorted(here)
    assert len(ask.asked) <= len(here) + 2


@pytest.mark.parametrize("answer", [[1, 2], [], [1], [1, 1], [1, 2, 3, 4, 5]])
async def test_one_answer_again_and_again_is_the_list(answer: list[int]) -> None:
    """A server that ignores `skip` and `limit`, and has all in one page: what is missing else is for who counts."""
    asked = 0

    async def ask(skip: int, limit: int) -> list[int]:
        nonlocal asked
        asked += 1
        return answer

    assert [part async for part in pages(ask, lambda one: one, 3)] == ([answer] if answer else [])
    assert asked <= 2


async def test_a_first_page_again_and_again_is_given_up() -> None:
    ask = Listed(set(range(9)), [])

    async def first(skip: int, limit: int) -> Sequence[int]:
        return await ask(0, limit)

    with pytest.raises(Moved):
        [part async for part in pages(first, lambda one: one, 3)]
    assert len(ask.asked) < 10
    with pytest.raises(BackendError):
        await whole(first, lambda one: one, 3, 100, "catalogue")


async def test_more_than_a_list_may_have_is_refused() -> None:
    assert await whole(Listed(set(range(9)), []), lambda one: one, 4, 9, "catalogue") == list(range(9))
    with pytest.raises(BackendError):
        await whole(Listed(set(range(9)), []), lambda one: one, 4, 8, "catalogue")


async def test_a_list_that_never_stands_still_is_given_up() -> None:
    asked = 0

    async def ask(skip: int, limit: int) -> list[int]:
        nonlocal asked
        asked += 1
        return [1, 2] if asked % 2 else [2, 1]

    with pytest.raises(Moved):
        [part async for part in pages(ask, lambda one: one, 2)]
    assert asked < 20

    async def shuffled(skip: int, limit: int) -> list[int]:
        return [skip * 10 + n for n in range(limit)]

    with pytest.raises(Moved):
        [part async for part in pages(shuffled, lambda one: one, 5)]
