"""One's own data alone, or open data alone: at the facility and on the wire."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facility_agent.adapters.catalogue.icat_catalogue import IcatCatalogue
from facility_agent.core.catalogue import Catalogue
from facility_agent.egress.narrowing import NarrowedCatalogue
from facility_agent.ports.access_rules import AccessRules
from facility_agent.ports.catalogue import STRANGER, Reader
from facility_agent.ports.directory import Account
from facility_agent.testing.catalogue_world import ADA
from facility_agent.testing.memory_catalogue import MemoryCatalogue
from shared.catalogue import Belonging, Dataset, SearchPage, SearchQuery
from shared.errors import InvalidRequest
from shared.wire.catalogue import decode_page, decode_query, encode_page, encode_query
from shared.wire.gen.parasol.catalogue.v1 import catalogue_pb2 as pb
from shared.wire.sieve import When
from tests.icat_place import Place, place, port, reader

__all__ = ["place", "port"]
OWN, OPEN = SearchQuery(belonging=Belonging.OWN), SearchQuery(belonging=Belonging.OPEN)


class Rules(AccessRules):
    def __init__(self, *given: str) -> None:
        self._given = frozenset(given)

    async def may_use(self, account: Account) -> bool:
        return True

    async def proposals(self, account: Account) -> Set[str]:
        return self._given


class Noting(MemoryCatalogue):
    asked: list[tuple[SearchQuery, Reader]]  # type: ignore[assignment]

    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        self.asked.append((query, reader))  # type: ignore[arg-type]
        return await super().search(query, reader)


def dataset(pid: str, proposal: str, started: float = 1.0) -> Dataset:
    return Dataset(pid, pid, proposal, "I1", "", "", started, None, 1, 1, is_open=False)


def holding(*datasets: Dataset) -> Noting:
    backend = Noting({"open", "mine-open"})
    backend.put(datasets)
    return backend


SOME = (dataset("a", "open"), dataset("b", "mine"), dataset("c", "mine-open"), dataset("d", "theirs"))


async def found(catalogue: Catalogue, query: SearchQuery, account: Account | None) -> tuple[set[str], Belonging]:
    page = await catalogue.answer(query, account)
    assert isinstance(page, SearchPage)
    return {d.pid for d in page.datasets}, page.belonging


async def test_the_core_asks_for_open_data_as_a_stranger_and_for_nobodys_own_not_at_all() -> None:
    backend = holding(*SOME)
    catalogue = Catalogue(backend, Rules("mine", "mine-open"))
    assert await found(catalogue, SearchQuery(), ADA) == ({"a", "b", "c"}, Belonging.ANY)
    assert await found(catalogue, OWN, ADA) == ({"b", "c"}, Belonging.OWN)
    assert await found(catalogue, OPEN, ADA) == ({"a", "c"}, Belonging.OPEN)
    assert backend.asked[-1] == (SearchQuery(), STRANGER), "no adapter hears of OPEN"
    assert await found(catalogue, OPEN, None) == ({"a", "c"}, Belonging.OPEN)
    before = len(backend.asked)
    assert await found(catalogue, OWN, None) == (set(), Belonging.OWN)
    assert len(backend.asked) == before


async def test_who_has_no_proposals_has_nothing_in_a_catalogue_without_rules_of_its_own() -> None:
    assert await found(Catalogue(holding(*SOME), Rules()), OWN, ADA) == (set(), Belonging.OWN)


NAMES = st.sampled_from(["open", "mine-open", "p1", "p2", "p3"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(NAMES, st.integers(0, 3)), max_size=20), st.sets(NAMES), st.integers(1, 4))
async def test_the_two_kinds_together_are_all_and_every_page_size_tells_the_same(
    rows: list[tuple[str, int]], mine: set[str], limit: int
) -> None:
    backend = holding(*(dataset(f"d{n}", proposal, float(at)) for n, (proposal, at) in enumerate(rows)))
    catalogue = Catalogue(backend, Rules(*mine))

    async def every(query: SearchQuery) -> list[str]:
        seen: list[str] = []
        while True:
            page = await catalogue.answer(replace(query, limit=limit), ADA)
            assert isinstance(page, SearchPage)
            seen += [d.pid for d in page.datasets]
            if not page.next:
                return seen
            query = replace(query, after=page.next)

    whole, own, opened = await every(SearchQuery()), await every(OWN), await every(OPEN)
    at = {f"d{n}": proposal for n, (proposal, _) in enumerate(rows)}
    assert own == [pid for pid in whole if at[pid] in mine]
    assert opened == [pid for pid in whole if at[pid] in {"open", "mine-open"}]
    assert set(own) | set(opened) == set(whole)


async def test_what_the_site_withholds_changes_nothing_of_whose_it_is() -> None:
    backend = holding(*SOME)
    narrowed = NarrowedCatalogue(backend, {"dataset": {"sample": When.NEVER, "proposal": When.OPEN}})
    reader = Reader(ADA, frozenset({"mine", "mine-open"}))
    for query, expected in ((OWN, {"b", "c"}), (replace(OWN, text="b"), {"b"}), (replace(OWN, text="a"), set())):
        assert {d.pid for d in (await narrowed.search(query, reader)).datasets} == expected


# --- an ICAT, whose rules are its own


@pytest.mark.needs("icat-data")
async def test_where_the_accounts_give_no_proposals_ones_own_is_what_icat_shows_beyond_what_is_open(
    port: IcatCatalogue,
) -> None:
    for name in ("jdoe", "nbour", "ahau", "rbeck"):
        whole = (await port.search(SearchQuery(limit=100), reader(name))).datasets
        own = [d.pid for d in whole if not d.is_open]
        paged: list[str] = []
        query = replace(OWN, limit=2)
        while True:
            page = await port.search(query, reader(name))
            paged += [d.pid for d in page.datasets]
            if not page.next:
                break
            query = replace(query, after=page.next)
        assert paged == own, name
    assert (await port.search(OWN, reader("nobody"))).datasets == ()
    assert (await port.search(OWN, STRANGER)).datasets == ()


@pytest.mark.needs("icat-data")
async def test_where_the_accounts_give_some_those_alone_are_ones_own_however_many(
    place: Place, port: IcatCatalogue
) -> None:
    whole = (await port.search(SearchQuery(limit=100), reader("nbour"))).datasets
    chosen = whole[0].proposal
    mine = [d.pid for d in whole if d.proposal == chosen]
    assert 0 < len(mine) < len(whole)
    for others in (0, 200):
        who = reader("nbour", chosen, *(f"P-{n}" for n in range(others)))
        assert [d.pid for d in (await port.search(OWN, who)).datasets] == mine, others
        narrowed = replace(OWN, proposals=(chosen, "P-1"))
        assert [d.pid for d in (await port.search(narrowed, who)).datasets] == mine
        assert (await port.search(replace(OWN, proposals=("P-none",)), who)).datasets == ()
    hidden = reader("jdoe", chosen)
    seen = {d.pid for d in (await port.search(SearchQuery(limit=100), hidden)).datasets}
    assert {d.pid for d in (await port.search(OWN, hidden)).datasets} <= seen, "what ICAT hides stays hidden"


# --- the wire


def test_it_crosses_the_wire_and_nothing_said_is_all() -> None:
    for belonging in Belonging:
        query = SearchQuery("x", belonging=belonging)
        assert decode_query(encode_query(query)) == query
        assert decode_page(encode_page(SearchPage(belonging=belonging))).belonging is belonging
    assert pb.Search.FromString(encode_query(SearchQuery())).belonging == ""
    assert decode_page(encode_page(SearchPage())).belonging is Belonging.ANY


@pytest.mark.parametrize("said", ["own", "ALL", "'", "x" * 999])
def test_what_is_not_known_is_refused_in_a_question_and_never_believed_in_an_answer(said: str) -> None:
    with pytest.raises(InvalidRequest, match="OWN or OPEN"):
        decode_query(pb.Search(limit=1, belonging=said).SerializeToString())
    assert decode_page(pb.Page(complete=True, belonging=said).SerializeToString()).belonging is Belonging.ANY
