"""What every `CatalogueBackend` must do. Subclass `CatalogueContract` and give it the fixture `world`."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from facility_agent.ports.catalogue import STRANGER
from facility_agent.testing.catalogue_records import CatalogueRecords
from facility_agent.testing.catalogue_world import MINE, STRANGE, THEIRS, CatalogueWorld, Known, some
from shared.catalogue import Order, SearchPage, SearchQuery, sort_key
from shared.commands import GetFiles
from shared.errors import BackendUnavailable, InvalidRequest, NotFound, ParasolError
from shared.limits import LIMITS


class CatalogueContract(CatalogueRecords):
    """The guarantees of the port."""

    async def test_every_page_size_repeats_nothing_and_drops_nothing(self, world: CatalogueWorld) -> None:
        known = some(world)
        await world.put(*known)
        whole = await self.all_of(world, world.reader(MINE))
        assert {d.title for d in whole} == {k.title for k in known if k.proposal != THEIRS}
        for limit in range(1, len(whole) + 2):
            assert await self.all_of(world, world.reader(MINE), SearchQuery(limit=limit)) == whole
        exact = await world.backend.search(SearchQuery(limit=len(whole)), world.reader(MINE))
        assert exact.next == "", "there is no page after the last dataset"

    async def test_the_newest_come_first_and_the_timeless_last(self, world: CatalogueWorld) -> None:
        await world.put(*some(world))
        whole = await self.all_of(world, world.reader(MINE), SearchQuery(limit=2))
        assert whole == sorted(whole, key=sort_key)
        assert {d.title for d in whole[-2:]} == {"open timeless", "mine timeless"}
        assert (whole[0].title, whole[1].started) == ("open two", 1_500_000.25)

    async def test_what_it_says_is_what_is_there(self, world: CatalogueWorld) -> None:
        known = {k.title: k for k in some(world)}
        await world.put(*known.values())
        for found in await self.all_of(world, world.reader(MINE, THEIRS)):
            k = known[found.title]
            assert (found.proposal, found.instrument, found.sample, found.definition, found.started) == (
                k.proposal, k.instrument, k.sample, k.definition if world.holds_definitions else "", k.started,
            )  # fmt: skip
            assert found.is_open is (k.proposal in world.opened())
            assert found.size >= 0
            assert found.files >= (1 if world.counts_files else 0)
            assert await world.backend.get(found.pid, world.reader(MINE, THEIRS)) == found

    async def test_a_pid_is_unique_and_tells_nothing(self, world: CatalogueWorld) -> None:
        await world.put(*some(world))
        first = {d.title: d.pid for d in await self.all_of(world, world.reader(MINE, THEIRS))}
        assert len(set(first.values())) == len(first)
        await world.put(Known("new", MINE, started=3_000_000.0))
        after = {d.title: d.pid for d in await self.all_of(world, world.reader(MINE, THEIRS))}
        assert after.items() >= first.items(), "a pid stays while the data keep their place"
        assert not [pid for pid in after.values() if "/" in pid]

    async def test_other_peoples_data_do_not_exist(self, world: CatalogueWorld) -> None:
        await world.put(*some(world))
        theirs = [d.pid for d in await self.all_of(world, world.reader(THEIRS)) if d.proposal == THEIRS]
        assert len(theirs) == (2 if world.has_own else 0)
        for reader in (STRANGER, world.reader(MINE), world.reader("P", "P-their", "%", "*", "")):
            assert THEIRS not in {d.proposal for d in await self.all_of(world, reader)}
            for query in (
                SearchQuery(proposals=(THEIRS,)), SearchQuery(text="unobtainium"), SearchQuery(text=THEIRS),
                SearchQuery(instruments=("I99-secret",)), SearchQuery(proposals=(THEIRS,), text="theirs"),
            ):  # fmt: skip
                assert await world.backend.search(query, reader) == SearchPage()
            for pid in theirs:
                assert await self.refusal(world, pid, reader) == await self.refusal(world, "nothing", reader)
        assert "I99-secret" not in await world.backend.instruments()

    async def test_nobody_finds_what_is_open(self, world: CatalogueWorld) -> None:
        await world.put(*some(world))
        everyones = [k for k in some(world) if k.proposal in world.opened()]
        assert await self.titles(world, STRANGER, SearchQuery()) == {k.title for k in everyones}
        assert await world.backend.instruments() == tuple(sorted({k.instrument for k in everyones}))
        assert await world.backend.open_proposals() == world.opened()

    async def test_nothing_found_is_no_error(self, world: CatalogueWorld) -> None:
        assert await world.backend.search(SearchQuery(), world.reader(MINE)) == SearchPage()
        assert await world.backend.instruments() == ()
        await world.put(*some(world))
        for query in (SearchQuery(text="nowhere"), SearchQuery(proposals=("P-none",)), SearchQuery(since=9e9)):
            assert await world.backend.search(query, world.reader(MINE)) == SearchPage()

    async def test_each_field_narrows(self, world: CatalogueWorld) -> None:
        await world.put(*some(world))
        defined = {"mine one", "mine two"} if world.holds_definitions else set[str]()
        for query, expected in (
            (SearchQuery(proposals=(MINE,)), {"mine one", "mine two", "mine three", "mine timeless"}),
            (SearchQuery(instruments=("I11", "ID11")), {"mine three", "open two", "open timeless"}),
            (SearchQuery(since=1_500_000.25), {"open two", "mine three"}),
            (SearchQuery(until=1_500_000.25), {"open one", "mine one", "mine two", "mine three"}),
            (SearchQuery(since=1_000_000.0, until=1_000_000.0), {"open one", "mine one", "mine two"}),
            (SearchQuery(text="SILVER beh"), {"open one", "mine one"}),
            (SearchQuery(text="silver mine"), {"mine one"}),
            (SearchQuery(text="NXsas", instruments=("I22",), proposals=(MINE,)), defined),
        ):
            assert await self.titles(world, world.reader(MINE), query) == expected, query
            assert await self.titles(world, world.reader(MINE), replace(query, limit=1)) == expected

    async def test_the_best_match_first_finds_the_same(self, world: CatalogueWorld) -> None:
        """Whether or not the catalogue can judge matches."""
        await world.put(*some(world), Known("silver in the title", MINE, started=1.0))
        for text in ("silver", "mine", "silver NXsas", "nowhere"):
            best = SearchQuery(text=text, order=Order.RELEVANCE)
            whole = [d.pid for d in await self.all_of(world, world.reader(MINE), best)]
            same = await self.all_of(world, world.reader(MINE), replace(best, order=Order.NEWEST))
            assert sorted(whole) == sorted(d.pid for d in same)
            for limit in (1, 2):
                paged = await self.all_of(world, world.reader(MINE), replace(best, limit=limit))
                assert [d.pid for d in paged] == whole, "every page size repeats nothing and drops nothing"
        nothing = await self.all_of(world, world.reader(MINE), SearchQuery(order=Order.RELEVANCE))
        assert {d.pid for d in nothing} == {d.pid for d in await self.all_of(world, world.reader(MINE))}

    async def test_strange_text_is_data(self, world: CatalogueWorld) -> None:
        await world.put(*some(world), Known("Robert'); DROP TABLE file;--", MINE, sample='x" OR "1"="1'))
        visible = {d.pid for d in await self.all_of(world, world.reader(MINE))}
        for text in STRANGE:
            for query in (
                SearchQuery(text=text[:200]), SearchQuery(text=f"one {text}"[:200]), SearchQuery(proposals=(text[:100],)),
                SearchQuery(instruments=(text[:100],)), SearchQuery(proposals=(MINE, text[:100])),
            ):  # fmt: skip
                try:
                    page = await world.backend.search(query, world.reader(MINE, text))
                except InvalidRequest:
                    continue
                assert {d.pid for d in page.datasets} <= visible, repr(text)
            assert (await self.refusal(world, text, world.reader(MINE, text)))[0] == "NOT_FOUND"
        assert await self.titles(world, world.reader(MINE), SearchQuery(text="robert'); drop")) == {
            "Robert'); DROP TABLE file;--"
        }
        assert {d.pid for d in await self.all_of(world, world.reader(MINE))} == visible

    async def test_a_foreign_cursor_is_refused(self, world: CatalogueWorld) -> None:
        await world.put(*some(world))
        good = (await world.backend.search(SearchQuery(limit=1), world.reader(MINE))).next
        bad = ["x", "0", "-1", "null", "[]", "W10", "bnVsbA", good[:-1], good + "x", good[1:], good.swapcase()]
        bad += [text for text in STRANGE if len(text) <= 100] + ["9" * 400, "[" * 400, "W1tb" * 100, "5b" * 200]
        for cursor in bad:
            try:
                page = await world.backend.search(SearchQuery(after=cursor), STRANGER)
            except InvalidRequest:
                continue
            assert {d.proposal for d in page.datasets} <= world.opened(), repr(cursor)

    async def test_another_persons_cursor_shows_only_ones_own(self, world: CatalogueWorld) -> None:
        await world.put(*some(world))
        after = (await world.backend.search(SearchQuery(limit=1), world.reader(MINE, THEIRS))).next
        page = await world.backend.search(SearchQuery(after=after), STRANGER)
        assert {d.proposal for d in page.datasets} <= world.opened()

    async def test_what_is_there_all_along_is_found_once_while_others_come_and_go(
        self, world: CatalogueWorld
    ) -> None:
        steady = [Known(f"steady {n}", MINE, started=1000.0 * n) for n in range(8)]
        await world.put(*steady, *(Known(f"going {n}", MINE, started=1000.0 * n + 1) for n in range(3)))
        seen: list[str] = []
        after, turn = "", 0
        while True:
            page = await world.backend.search(SearchQuery(limit=2, after=after), world.reader(MINE))
            seen += [d.title for d in page.datasets]
            after = page.next
            if not after:
                break
            if turn < 3:
                await world.put(Known(f"coming {turn}", MINE, started=3000.0 * turn + 2))
                await world.remove(f"going {turn}")
            turn += 1
        assert len(set(seen)) == len(seen)
        assert set(seen) >= {k.title for k in steady}

    async def test_a_proposals_folder_is_its_own_and_below_the_roots(self, world: CatalogueWorld) -> None:
        await world.put(*some(world))
        folders = {p: (await world.backend.locate(p)).folder for p in (MINE, THEIRS, world.open_proposal)}
        for proposal, folder in folders.items():
            assert (await world.backend.locate(proposal)).proposal == proposal
            assert folder.is_dir()
            assert folder == folder.resolve(), "absolute, without links"
            assert any(folder.is_relative_to(root) for root in world.roots)
            others = [other for other in folders.values() if other != folder]
            assert not [o for o in others if o.is_relative_to(folder)], "nothing of another proposal is below it"
        assert len(set(folders.values())) == 3

    async def test_strange_proposals_have_no_folder(self, world: CatalogueWorld) -> None:
        await world.put(*some(world))
        for proposal in (*STRANGE, "", "P-none", "P-mine/", "./P-mine", "P-theirs/../P-mine", str(world.roots[0])):
            with pytest.raises(NotFound) as refused:
                await world.backend.locate(proposal)
            assert "/" not in refused.value.message

    async def test_what_is_deleted_is_gone(self, world: CatalogueWorld) -> None:
        await world.put(*some(world))
        pid = next(d.pid for d in await self.all_of(world, world.reader(MINE)) if d.title == "mine one")
        await world.remove("mine one")
        assert "mine one" not in await self.titles(world, world.reader(MINE), SearchQuery())
        assert await self.titles(world, world.reader(MINE), SearchQuery(text="mine one")) == set()
        assert await self.refusal(world, pid, world.reader(MINE)) == await self.refusal(
            world, "nothing", world.reader(MINE)
        )

    async def test_a_whole_page_and_many_questions_at_once(self, world: CatalogueWorld) -> None:
        await world.put(*(Known(f"d {n}", MINE, started=float(n)) for n in range(LIMITS.page + 1)))
        pages = await asyncio.gather(
            *(world.backend.search(SearchQuery(limit=LIMITS.page), world.reader(MINE)) for _ in range(10))
        )
        assert all(page == pages[0] for page in pages)
        assert (len(pages[0].datasets), bool(pages[0].next)) == (LIMITS.page, True)

    async def test_an_outage_is_said_and_nothing_is_lost(self, world: CatalogueWorld) -> None:
        await world.put(*some(world))
        before = await self.all_of(world, world.reader(MINE))
        with world.outage():
            await self.said(world)
        assert await self.all_of(world, world.reader(MINE)) == before

    async def said(self, world: CatalogueWorld) -> None:
        """An outage: an error that a retry may help, or a page that says it is not complete; never a vendor's own."""
        for ask in (
            lambda: world.backend.search(SearchQuery(), world.reader(MINE)), lambda: world.backend.get("nothing", world.reader(MINE)),
            lambda: world.backend.locate(MINE), lambda: world.backend.instruments(),
            lambda: world.backend.files(GetFiles("nothing"), world.reader(MINE)),
        ):  # fmt: skip
            try:
                answer = await ask()
            except ParasolError as error:
                assert isinstance(error, BackendUnavailable | NotFound)
                assert "/" not in error.message
            else:
                if isinstance(answer, SearchPage) and not answer.datasets:
                    assert not answer.complete
                    assert answer.note
