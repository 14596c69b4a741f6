"""What every `CatalogueBackend` must do with samples, techniques, proposals and files."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

from facility_agent.ports.catalogue import STRANGER, Reader
from facility_agent.probing import rules
from facility_agent.testing.catalogue_world import MINE, STRANGE, THEIRS, CatalogueWorld, Known, some
from shared.catalogue import Belonging, DataFile, Dataset, Proposal, ProposalQuery, SearchQuery
from shared.commands import GetFiles
from shared.errors import InvalidRequest, NotFound


class CatalogueReads:
    """How the suites read."""

    async def all_of(
        self, world: CatalogueWorld, reader: Reader, query: SearchQuery | None = None
    ) -> list[Dataset]:
        """Everything that following `next` finds."""
        query, found = query or SearchQuery(), list[Dataset]()
        while True:
            page = await world.backend.search(query, reader)
            assert not list(rules.of_page(page, query, everybody=reader == STRANGER))
            found += page.datasets
            if not page.next:
                return found
            query = replace(query, after=page.next)

    async def titles(self, world: CatalogueWorld, reader: Reader, query: SearchQuery) -> set[str]:
        """The titles that a question finds."""
        found = [dataset.title for dataset in await self.all_of(world, reader, query)]
        assert len(set(found)) == len(found), "nothing is found twice"
        return set(found)

    async def refusal(self, world: CatalogueWorld, pid: str, reader: Reader) -> tuple[str, str]:
        """How a dataset is refused."""
        with pytest.raises(NotFound) as refused:
            await world.backend.get(pid, reader)
        return refused.value.reason, refused.value.message


class CatalogueRecords(CatalogueReads):
    """The part of `CatalogueContract` that is about samples, techniques, proposals and files."""

    async def test_words_of_the_sample_narrow(self, world: CatalogueWorld) -> None:
        await world.put(*some(world), Known("of silver", MINE, sample="gold"))
        for sample, expected in (
            ("SILVER", {"open one", "mine one"}), ("behenate silv", {"open one", "mine one"}), ("gold", {"of silver"}),
            ("I22", set[str]()), ("silver gold", set[str]()),
        ):  # fmt: skip
            assert await self.titles(world, world.reader(MINE), SearchQuery(sample=sample)) == expected, sample
        for text in STRANGE:
            with suppress(InvalidRequest):
                found = await self.titles(world, world.reader(MINE), SearchQuery(sample=text[:200], text="theirs"))
                assert found == set()

    async def test_a_technique_finds_its_narrower_ones(self, world: CatalogueWorld) -> None:
        if not world.holds_terms:
            await self.of_definitions(world)
            return
        await world.put(
            Known("scattering", MINE, techniques=("PaNET01124",)), Known("saxs", MINE, techniques=("PaNET01188",)),
            Known("xas", world.open_proposal, techniques=("PaNET01196", "PaNET01188")),
            Known("other", MINE, techniques=("https://w3id.org/PaN/ESRFET#XAS",)), Known("none", MINE),
            Known("hidden", THEIRS, techniques=("PaNET01188",)),
        )  # fmt: skip
        for terms, expected in (
            (("PaNET01124",), {"scattering", "saxs", "xas"}), (("PaNET01188",), {"saxs", "xas"}),
            (("PaNET01196",), {"xas"}), (("https://w3id.org/PaN/ESRFET#XAS",), {"other"}), (("%",), set[str]()),
            (("PaNET01196", "https://w3id.org/PaN/ESRFET#XAS"), {"xas", "other"}),
        ):  # fmt: skip
            assert await self.titles(world, world.reader(MINE), SearchQuery(techniques=terms)) == expected, terms
        found = {d.title: d.techniques for d in await self.all_of(world, world.reader(MINE))}
        assert found["xas"] == ("PaNET01196", "PaNET01188")
        assert found["none"] == ()

    async def of_definitions(self, world: CatalogueWorld) -> None:
        """Techniques that follow from application definitions."""
        await world.put(*some(world))
        for terms, expected in (
            (("PaNET01124",), {"open one", "mine one", "mine two"}), (("PaNET01196",), {"open two"}),
            (("PaNET01188",), set[str]()), (("PaNET01028",), {"mine three"}), (("x' OR 1",), set[str]()),
        ):  # fmt: skip
            assert await self.titles(world, world.reader(MINE), SearchQuery(techniques=terms)) == expected, terms

    async def proposals_of(self, world: CatalogueWorld, reader: Reader, query: ProposalQuery) -> list[Proposal]:
        """Every proposal that following `next` finds."""
        found: list[Proposal] = []
        while True:
            page = await world.backend.proposals(query, reader)
            assert not list(rules.of_proposals(page, query, everybody=reader == STRANGER))
            found += page.proposals
            if not page.next:
                return found
            query = replace(query, after=page.next)

    async def test_proposals_are_ones_own_and_the_open_ones(self, world: CatalogueWorld) -> None:
        await world.put(*some(world))
        for reader, own in (
            (STRANGER, set[str]()), (world.reader(MINE), {MINE}), (world.reader(MINE, THEIRS), {MINE, THEIRS}),
            (world.reader("P", "%", ""), set[str]()),
        ):  # fmt: skip
            expected = sorted(world.opened() | own if world.has_own else world.opened())
            for limit in (1, 2, 50):
                found = await self.proposals_of(world, reader, ProposalQuery(limit=limit))
                assert [p.pid for p in found] == expected
                assert {p.pid for p in found if p.is_open} == world.opened()
                assert not [p for p in found if p.members and not p.is_open]
        for query, named in (
            (ProposalQuery(proposals=(MINE, THEIRS)), [MINE]), (ProposalQuery(text="p-mine"), [MINE]),
            (ProposalQuery(text="nowhere"), []), (ProposalQuery(proposals=(THEIRS,)), []),
        ):  # fmt: skip
            assert [p.pid for p in await self.proposals_of(world, world.reader(MINE), query)] == named
        for text in STRANGE:
            with suppress(InvalidRequest):
                said = await world.backend.proposals(ProposalQuery(text=text[:200]), world.reader(MINE, text))
                assert THEIRS not in {p.pid for p in said.proposals}
            with pytest.raises(InvalidRequest):
                await world.backend.proposals(ProposalQuery(after=text or "x"), world.reader(MINE))

    async def test_ones_own_is_what_belongs_to_ones_proposals(self, world: CatalogueWorld) -> None:
        await world.put(*some(world), Known("mine in silver", MINE, sample="silver", started=1_000_000.5))
        own = SearchQuery(belonging=Belonging.OWN)
        mine = {"mine one", "mine two", "mine three", "mine timeless", "mine in silver"}
        opened = {"open one", "open two", "open timeless"}
        theirs = {"theirs one", "theirs timeless"} if world.has_own else set[str]()
        for reader, expected in (
            (STRANGER, set[str]()), (world.reader(), set()), (world.reader(MINE), mine), (world.reader("P", "%", ""), set()),
            (world.reader(MINE, THEIRS), mine | theirs), (world.reader(MINE, world.open_proposal), mine | opened),
        ):  # fmt: skip
            for limit in (1, 2, 50):
                assert await self.titles(world, reader, replace(own, limit=limit)) == expected
        me = world.reader(MINE)
        whole = [d.pid for d in await self.all_of(world, me) if d.proposal == MINE]
        assert [d.pid for d in await self.all_of(world, me, replace(own, limit=2))] == whole, "in the same order"
        for query, expected in (
            (replace(own, text="silver"), {"mine one", "mine in silver"}), (replace(own, proposals=(MINE,)), mine),
            (replace(own, proposals=(world.open_proposal, THEIRS)), set[str]()), (replace(own, sample="lysozyme"), {"mine two"}),
            (replace(own, until=1_000_000.0), {"mine one", "mine two"}), (replace(own, instruments=("ID11",)), set()),
        ):  # fmt: skip
            assert await self.titles(world, me, query) == expected, query

    async def test_files_are_relative_and_paged(self, world: CatalogueWorld) -> None:
        listed = tuple(DataFile(f"raw/scan {n:02}.dat", 10 * n) for n in range(5))
        await world.put(*some(world), Known("with files", MINE, files=listed))
        pids = {d.title: d.pid for d in await self.all_of(world, world.reader(MINE, THEIRS))}
        assert {"open one", "mine one", "with files"} <= pids.keys()
        for pid in pids.values():
            listed_ = await world.backend.files(GetFiles(pid, 50), world.reader(MINE, THEIRS))
            assert not list(rules.of_files(listed_, 50))
            whole = listed_.files
            assert whole
            found: list[DataFile] = []
            after = ""
            while True:
                page = await world.backend.files(GetFiles(pid, 2, after), world.reader(MINE, THEIRS))
                found += page.files
                assert page.total in {None, len(whole)}
                after = page.next
                if not after:
                    break
            assert tuple(found) == whole
        for pid in (pids.get("theirs one", "nothing"), "nothing", *STRANGE):
            with pytest.raises(NotFound):
                await world.backend.files(GetFiles(pid), world.reader(MINE))
        for cursor in ("x", "[]", "W10", "5b5d", "'"):
            with pytest.raises(InvalidRequest):
                await world.backend.files(GetFiles(pids["mine one"], 50, cursor), world.reader(MINE))
