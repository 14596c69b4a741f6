"""A policy narrows questions too: a curious centre cannot guess a field that stays at the facility."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facility_agent.egress.narrowing import NOTE, PAGES, NarrowedCatalogue
from facility_agent.egress.policy import narrowed
from facility_agent.ports.catalogue import STRANGER, Reader
from facility_agent.testing.memory_catalogue import MemoryCatalogue
from shared.catalogue import (
    DataFile,
    Dataset,
    FilePage,
    Member,
    Order,
    Parameter,
    Proposal,
    ProposalPage,
    ProposalQuery,
    SearchPage,
    SearchQuery,
    sort_key,
)
from shared.commands import GetChanges, GetDataset, GetFiles, Verb
from shared.errors import BackendUnavailable, NotFound
from shared.wire.sieve import _MESSAGES
from tests.facility_scene import BEGIN, FacilityScene, Held, open_facility
from tests.unit.test_egress_leaving import Site, signed

SECRET, OTHER = "Unobtainium-7 alloy", "Water"
MINE = Reader(None, frozenset({"P-1", "P-2"}))


class Searching(MemoryCatalogue):
    """A catalogue that looks in more than it shows, and puts first what it judges by a field that may be withheld."""

    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        words = query.text.casefold().split()
        everything = await super().search(replace(query, text="", limit=100, after=""), reader)
        if not words and query.order is Order.NEWEST:
            return await super().search(query, reader)

        def said(d: Dataset) -> str:
            values = " ".join(f"{p.name} {p.value}" for p in d.parameters)
            return f"{d.title} {d.sample} {d.instrument} {d.definition} {values} {d.doi}".casefold()

        found = [d for d in everything.datasets if all(word in said(d) for word in words)]
        found.sort(key=lambda d: (-sum(said(d).count(word) for word in words), *sort_key(d)))
        begin = int(query.after or 0)
        page = tuple(found[begin : begin + query.limit])
        return SearchPage(page, str(begin + query.limit) if len(found) > begin + query.limit else "")


def shelf(sample: str, of_open: str = "Salt", *, count: int = 14) -> list[Dataset]:
    """Records of Ada's under embargo, which differ in their samples alone, and open ones."""
    found = []
    for number in range(count):
        proposal = ("P-1", "P-2", "P-open")[number % 3]
        found.append(
            Dataset(
                f"d-{number:02d}", f"Run {number}", proposal, ("I22", "B16")[number % 2],
                (of_open if proposal == "P-open" else sample if number % 4 else f"{sample} two") , "NXsas",
                BEGIN - 60.0 * (number // 2), None, 10, 1, proposal == "P-open", ("PaNET01196",), ("powder",),
                (Parameter("temperature", 300.0 + number, "K"), Parameter("composition", of_open if proposal == "P-open" else sample)),
                f"10.1/{number}",
            )
        )  # fmt: skip
    return found


def guesses() -> list[Any]:
    """200 and more questions of somebody who wants to know what the embargoed samples are called."""
    chance = random.Random(7)
    words = [
        SECRET,
        OTHER,
        "two",
        *SECRET.split(),
        *(SECRET[:n] for n in range(1, 12)),
        *OTHER,
        *(OTHER[:n] for n in (2, 3, 4)),
    ]
    words += [
        "alloy two",
        "Salt",
        "Run 3",
        "I22 alloy",
        "NXsas",
        "temperature",
        "composition",
        "powder",
        "d-03 two",
        "10.1/4",
        "K",
    ]
    words += ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(1, 3))) for _ in range(20)]
    asked: list[Any] = []
    for word in words:
        limit, order = chance.choice([1, 2, 5, 50]), chance.choice(list(Order))
        asked += [
            SearchQuery(text=word, limit=limit, order=order), SearchQuery(sample=word, limit=limit),
            SearchQuery(text=f"Run {word}", instruments=("I22",), limit=limit),
            SearchQuery(text=word, sample=word.split()[0], proposals=("P-1",), techniques=("PaNET01196",), order=order),
            ProposalQuery(text=word, limit=limit),
        ]  # fmt: skip
    asked += [SearchQuery(limit=n) for n in (1, 3, 50)] + [ProposalQuery(limit=n) for n in (1, 50)]
    asked += [GetDataset(f"d-{n:02d}") for n in range(14)] + [GetFiles(f"d-{n:02d}", 1) for n in range(14)]
    return asked


VERB_OF = {SearchQuery: Verb.SEARCH, ProposalQuery: Verb.PROPOSALS, GetDataset: Verb.GET, GetFiles: Verb.FILES}


async def heard(site: Site, held: Held | None, asked: Any) -> list[tuple[str, bytes, str]]:
    """Everything that the centre hears of a question, all pages of it."""
    answers = []
    for _ in range(40):
        verb = VERB_OF[type(asked)]
        command = signed(site.facility, held, verb, asked) if held else (site.facility.body(verb, asked), "", b"")
        result = await site.send(*command)
        answers.append((result.outcome, result.payload, str(result.problem)))
        page: Any = _MESSAGES[verb.value].FromString(result.payload)
        following = getattr(page, "next", "")
        if not following:
            return answers
        asked = replace(asked, after=following)
    raise AssertionError("it never ends")


async def changes(site: Site, since: str = "") -> Any:
    """The open metadata that changed since then."""
    result = await site.send(site.facility.body(Verb.CHANGES, GetChanges(since)))
    return _MESSAGES[Verb.CHANGES.value].FromString(result.payload)


@pytest.fixture
async def twins(tmp_path: Path) -> AsyncIterator[tuple[Site, Site]]:
    """Two facilities, alike but for the samples under embargo."""
    async with AsyncExitStack() as stack:
        made = []
        for name, sample in (("one", SECRET), ("other", OTHER)):
            (tmp_path / name).mkdir()
            scene = await stack.enter_async_context(open_facility(tmp_path / name))
            scene.shelf = Searching({"P-open"}, scene.shelf._folders)
            datasets = shelf(sample)
            scene.shelf.put(datasets, {d.pid: [DataFile("a", 1), DataFile("b", 2)] for d in datasets})
            made.append(scene)
        sites: list[Site] = []
        yield tuple(made), sites  # type: ignore[misc]
        for site in sites:
            await site.running.stop()
            site.log.close()


async def transcripts(
    scenes: tuple[FacilityScene, ...], sites: list[Site], policy: dict[str, Any]
) -> list[list[Any]]:
    """What a curious centre hears at each facility, with Ada's grant and without."""
    found = []
    for scene in scenes:
        await scene.narrow(policy)
        site = Site(scene)
        sites.append(site)
        held = await scene.ada()
        await scene.feed.look()
        said: list[Any] = []
        for asked in guesses():
            scene.now += 1.0  # as many commands a second as a grant allows
            said.append([await heard(site, who, asked) for who in (held, None)])
        mirrored = await changes(site)
        said.append(sorted(each.SerializeToString(deterministic=True) for each in mirrored.datasets))
        found.append(said)
    return found


async def test_hundreds_of_guesses_tell_nothing_of_an_embargoed_sample(twins: Any) -> None:
    scenes, sites = twins
    policy = {"dataset": {"sample": "open"}, "parameter": {"text": "never"}}
    one, other = await transcripts(scenes, sites, policy)
    assert len(guesses()) >= 200
    for asked, here, there in zip([*guesses(), "changes"], one, other, strict=True):
        assert here == there, asked
    for site in sites:
        for left in site.left:
            assert b"nobtainium" not in left
            assert b"Water" not in left


async def test_without_a_policy_the_same_guesses_tell(twins: Any) -> None:
    """So the test above would see it."""
    scenes, sites = twins
    one, other = await transcripts(scenes, sites, {})
    different = [asked for asked, here, there in zip(guesses(), one, other, strict=False) if here != there]
    assert {type(asked) for asked in different} == {SearchQuery, GetDataset}
    assert SearchQuery(sample=SECRET, limit=different[0].limit).sample in {
        getattr(each, "sample", "") for each in different
    }


async def test_what_stays_here_does_not_show_as_a_change(at: FacilityScene) -> None:
    at.shelf.put(shelf(SECRET))
    await at.narrow({"dataset": {"sample": "never"}, "parameter": {"text": "never", "number": "never"}})
    site = Site(at)
    try:
        await at.feed.look()
        first = await changes(site)
        assert len(first.datasets) == 5
        assert {each.sample for each in first.datasets} == {""}
        at.shelf.put(shelf(SECRET, "Sugar"))
        await at.feed.look()
        again = await changes(site, first.token)
        assert (list(again.datasets), again.token) == ([], first.token)
        at.shelf.put([replace(d, title="New") for d in shelf(SECRET)])
        await at.feed.look()
        assert {each.title for each in (await changes(site, first.token)).datasets} == {"New"}
    finally:
        await site.running.stop()
        site.log.close()


QUERIES = st.builds(
    SearchQuery,
    text=st.sampled_from(["", "run", "Run 1", "i22", "salt", "unobt", "nxs powder", "zzz", "p-1"]),
    sample=st.sampled_from(["", "salt", "unobtainium", "two", "al"]),
    instruments=st.sampled_from([(), ("I22",), ("B16", "I22")]),
    techniques=st.sampled_from([(), ("PaNET01196",), ("PaNET01124",)]),
    since=st.sampled_from([None, BEGIN - 200.0]),
    limit=st.integers(1, 4),
)
POLICIES = st.fixed_dictionaries(
    {},
    optional={
        name: st.sampled_from(["never", "open"])
        for name in ("sample", "title", "instrument", "techniques", "keywords", "proposal", "definition", "size")
    },
)


def seen(dataset: Dataset, policy: dict[str, str]) -> Dataset:
    """Written apart from the product's: a record without what stays here."""
    none: dict[str, Any] = {"techniques": (), "keywords": (), "size": 0}
    gone = {name: none.get(name, "") for name, when in policy.items() if when == "never" or not dataset.is_open}
    return replace(dataset, **gone)


def answers(d: Dataset, query: SearchQuery, policy: dict[str, str]) -> bool:
    """Brute force over what may be seen."""

    def begins(asked: str, *said: str) -> bool:
        text = " " + " ".join(said).casefold().replace("-", " -")
        tokens = {text[i:] for i in range(len(text)) if not text[i - 1].isalnum()}
        return all(
            any(t.startswith(w.casefold().replace("-", " -").strip()) for t in tokens) for w in asked.split()
        )

    return (
        begins(query.text, d.title, d.proposal, d.instrument, d.sample, d.definition, d.pid, *d.keywords)
        and begins(query.sample, d.sample)
        and (not query.instruments or d.instrument in query.instruments)
        and (not query.techniques or ("PaNET01196" in d.techniques and "PaNET01196" in query.techniques))
        and (query.since is None or (d.started or 0.0) >= query.since)
    )


@given(QUERIES, POLICIES)
@settings(max_examples=200, deadline=None)
def test_a_search_is_the_one_over_what_may_be_seen(query: SearchQuery, policy: dict[str, str]) -> None:
    """Page by page: no repeat, no drop, newest first; and it says when it did not look everywhere."""
    if not any(name != "size" for name in policy):
        policy = {**policy, "title": "never"}  # so that text is always looked for by one rule
    inner = MemoryCatalogue({"P-open"})
    inner.put(shelf(SECRET))
    shown = NarrowedCatalogue(inner, narrowed({"dataset": policy}).fields)

    async def pages() -> list[SearchPage]:
        found, asked = [], query
        while len(found) < 60:
            found.append(await shown.search(asked, MINE))
            if not found[-1].next:
                return found
            asked = replace(query, after=found[-1].next)
        raise AssertionError("it never ends")

    found = asyncio.run(pages())
    expected = [d for d in (seen(each, policy) for each in inner._all) if answers(d, query, policy)]
    assert [d for page in found for d in page.datasets] == expected
    asks = {"sample": query.sample, "instrument": query.instruments, "techniques": query.techniques}
    hides = bool(query.text) or any(asks.get(name) for name in policy)
    assert {(page.complete, page.note) for page in found} == {(not hides, NOTE if hides else "")}


async def test_what_is_rare_among_many_takes_several_answers_each_bounded() -> None:
    asked: list[int] = []

    class Counting(MemoryCatalogue):
        async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
            asked.append(query.limit)
            return await super().search(query, reader)

    inner = Counting({"P-open"})
    many = [
        replace(shelf(SECRET)[0], pid=f"x-{n:05d}", started=float(n), proposal="P-1")
        for n in range(100 * PAGES + 50)
    ]
    inner.put([*many, replace(many[0], pid="rare", title="Rare", started=-5.0)])
    shown = NarrowedCatalogue(inner, narrowed({"dataset": {"sample": "never"}}).fields)
    first = await shown.search(SearchQuery(text="rare"), MINE)
    assert (first.datasets, bool(first.next), len(asked)) == ((), True, PAGES)
    second = await shown.search(SearchQuery(text="rare", after=first.next), MINE)
    assert [d.pid for d in second.datasets] == ["rare"]


async def test_every_kind_of_record_is_narrowed_and_files_are_not_ordered_by_what_stays() -> None:
    class Full(MemoryCatalogue):
        async def proposals(self, query: ProposalQuery, reader: Reader) -> ProposalPage:
            shown = [
                Proposal("P-1", "Secret title", "Of alloys"),
                Proposal("P-open", "Open title", members=(Member("Ada", orcid="0000"),), is_open=True),
            ]
            return ProposalPage(
                tuple(p for p in shown if all(w in f"{p.title} {p.summary}" for w in query.text.split()))
            )

    inner = Full({"P-open"})
    inner.put(shelf(SECRET), {"d-00": [DataFile("secret/a", 1), DataFile("z", 2)]})
    tables = {
        "proposal": {"title": "open"},
        "member": {"orcid": "never"},
        "file": {"path": "never"},
        "dataset": {"instrument": "never"},
    }
    shown = NarrowedCatalogue(inner, narrowed(tables).fields)
    page = await shown.proposals(ProposalQuery(), MINE)
    assert [(p.title, p.summary, p.members) for p in page.proposals] == [
        ("", "Of alloys", ()), ("Open title", "", (Member("Ada"),)),
    ]  # fmt: skip
    assert page.complete
    for text, pids in {"Secret": [], "Open": ["P-open"], "alloys": ["P-1"]}.items():
        found = await shown.proposals(ProposalQuery(text=text), MINE)
        assert ([p.pid for p in found.proposals], found.complete) == (pids, False), text
    assert await shown.files(GetFiles("d-00", 1, "anything"), MINE) == FilePage()
    with pytest.raises(NotFound):
        await shown.files(GetFiles("d-00"), STRANGER)
    sized = NarrowedCatalogue(inner, narrowed({"file": {"size": "never"}}).fields)
    assert (await sized.files(GetFiles("d-00"), MINE)).files == (DataFile("secret/a", 0), DataFile("z", 0))
    assert await shown.instruments() == ()
    assert await sized.instruments() == ("B16", "I22")
    assert await shown.open_proposals() == {"P-open"}
    assert shown.detail == "In memory."


async def test_a_catalogue_that_gives_one_page_again_and_again_is_refused() -> None:
    class Stuck(MemoryCatalogue):
        async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
            return SearchPage((), "same")

    shown = NarrowedCatalogue(Stuck(frozenset()), narrowed({"dataset": {"sample": "never"}}).fields)
    with pytest.raises(BackendUnavailable):
        await shown.search(SearchQuery(text="x"), MINE)
