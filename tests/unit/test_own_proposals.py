"""One's own proposals, newest first: put together at the facility from its rules and its catalogue."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facility_agent.core.own_proposals import MOST, own_proposals
from facility_agent.ports.catalogue import STRANGER, Reader
from facility_agent.ports.directory import Account
from facility_agent.testing.memory_catalogue import MemoryCatalogue
from shared.catalogue import Dataset, Proposal, ProposalPage, ProposalQuery, key
from shared.errors import InvalidRequest
from shared.limits import LIMITS

ADA = Account("ada", "7", 1007, 1007, (), Path("/home/ada"))


def dataset(pid: str, proposal: str, started: float | None) -> Dataset:
    return Dataset(pid, "", proposal, "I1", "", "", started, None, 1, 1, is_open=False)


class Counting(MemoryCatalogue):
    """How often it is asked for proposals."""

    times = 0

    async def proposals(self, query: ProposalQuery, reader: Reader) -> ProposalPage:
        self.times += 1
        return await super().proposals(query, reader)


class OwnRules(Counting):
    """Gives everybody more than the facility's rules name, as a catalogue with rules of its own does."""

    async def proposals(self, query: ProposalQuery, reader: Reader) -> ProposalPage:
        seen = await super().proposals(query, Reader(reader.account, frozenset({"by-catalogue", "open"})))
        return replace(seen, complete=False, note="Half of it.")


async def every(backend: MemoryCatalogue, query: ProposalQuery, reader: Reader) -> list[Proposal]:
    found: list[Proposal] = []
    while True:
        page = await own_proposals(backend, query, reader)
        assert len(page.proposals) <= query.limit
        found += page.proposals
        if not page.next:
            return found
        assert page.proposals
        query = replace(query, after=page.next)


TIMES = st.dictionaries(
    st.sampled_from([f"p{n}" for n in range(9)] + ["open", "theirs"]),
    st.lists(st.one_of(st.none(), st.integers(0, 5)), min_size=1, max_size=3),
)


@given(
    times=TIMES,
    mine=st.frozensets(st.sampled_from([f"p{n}" for n in range(9)] + ["open"])),
    size=st.integers(1, 4),
)
@settings(max_examples=100, deadline=None)
def test_they_are_those_of_the_rules_newest_first_and_every_page_size_says_the_same(
    times: dict[str, list[int | None]], mine: frozenset[str], size: int
) -> None:
    backend = MemoryCatalogue({"open"})
    backend.put(
        dataset(f"{name}-{n}", name, None if t is None else float(t))
        for name, found in times.items()
        for n, t in enumerate(found)
    )
    found = asyncio.run(every(backend, ProposalQuery(limit=size, own=True), Reader(ADA, mine)))
    assert {p.pid for p in found} == {name for name in times if name in mine}
    keys = [key(p.started, p.pid) for p in found]
    assert keys == sorted(keys)


async def test_many_open_ones_are_not_read_through_for_somebody_whose_own_are_named() -> None:
    backend = Counting({f"o{n:04}" for n in range(500)})
    backend.put([dataset(f"d{n}", f"o{n:04}", 1.0) for n in range(500)])
    backend.put([dataset(f"m{n}", f"mine{n}", float(n)) for n in range(60)])
    mine = frozenset(f"mine{n}" for n in range(60))
    page = await own_proposals(backend, ProposalQuery(own=True, limit=3), Reader(ADA, mine))
    assert [p.pid for p in page.proposals] == ["mine59", "mine58", "mine57"]
    assert page.complete
    assert backend.times == 2, "60 names in questions of at most 50"


async def test_words_and_names_narrow() -> None:
    backend = MemoryCatalogue({"open"})
    backend.put([dataset("a", "alpha-1", 1.0), dataset("b", "beta-1", 2.0), dataset("c", "theirs", 3.0)])
    ada = Reader(ADA, frozenset({"alpha-1", "beta-1"}))
    for query, expected in (
        (ProposalQuery(text="ALPHA", own=True), ["alpha-1"]),
        (ProposalQuery(proposals=("beta-1", "theirs"), own=True), ["beta-1"]),
        (ProposalQuery(proposals=("theirs",), own=True), []),
        (ProposalQuery(text="nowhere", own=True), []),
    ):
        assert [p.pid for p in (await own_proposals(backend, query, ada)).proposals] == expected


async def test_a_stranger_has_none_and_costs_the_catalogue_nothing() -> None:
    backend = Counting({"open"})
    backend.put([dataset("a", "open", 1.0)])
    assert await own_proposals(backend, ProposalQuery(own=True), STRANGER) == ProposalPage()
    assert backend.times == 0


async def test_where_the_rules_name_none_the_catalogues_own_decide_and_its_words_are_kept() -> None:
    backend = OwnRules({"open"})
    backend.put([dataset("a", "open", 1.0), dataset("b", "by-catalogue", 2.0), dataset("c", "theirs", 3.0)])
    page = await own_proposals(backend, ProposalQuery(own=True), Reader(ADA))
    assert [p.pid for p in page.proposals] == ["by-catalogue"], "what is open to all is not one's own"
    assert (page.complete, page.note) == (False, "Half of it.")


@pytest.mark.parametrize("named", [True, False])
async def test_too_many_are_cut_and_said_to_be(named: bool) -> None:
    names = [f"p{n:05}" for n in range(MOST + 1)]
    backend = Counting(set() if named else set(names))
    backend.put([dataset(name, name, 1.0) for name in names])
    page = await own_proposals(backend, ProposalQuery(own=True), Reader(ADA, frozenset(names if named else ())))
    assert not page.complete
    assert str(MOST) in page.note
    assert backend.times <= MOST // 50
    assert len(page.proposals) == (50 if named else 0)


@pytest.mark.parametrize("cursor", ["x", "W10=", "W251bGwsMV0="])
async def test_a_cursor_that_was_not_given_here_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        await own_proposals(MemoryCatalogue(set()), ProposalQuery(own=True, after=cursor), Reader(ADA))


async def test_a_page_is_never_longer_than_asked() -> None:
    backend = MemoryCatalogue(set())
    names = frozenset(f"p{n:03}" for n in range(LIMITS.page + 1))
    backend.put([dataset(name, name, 1.0) for name in names])
    page = await own_proposals(backend, ProposalQuery(own=True, limit=LIMITS.page), Reader(ADA, names))
    assert len(page.proposals) == LIMITS.page
    assert page.next
