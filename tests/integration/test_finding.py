"""A dataset by its identifier or DOI: open data cost nobody anything, one's own are found where one is connected."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest

from central_portal.catalogue.finding import plain_doi, spellings
from shared.catalogue import Changes, Dataset, SearchPage
from shared.commands import Answer, Problem, Verb
from shared.facilities import Outcome
from tests.integration.test_mirror import apply, in_db

pytestmark = pytest.mark.usefixtures("database")
FIND = "query($pid: String, $doi: String, $at: ID){findDataset(pid:$pid, doi:$doi, facility:$at){id title doi}}"
NOT_FOUND = Answer(Outcome.FAILED, problem=Problem("NOT_FOUND", "There is no such dataset."))


class Link:
    """Two facilities of this test alone, and links to their data."""

    def __init__(self) -> None:
        from tests.integration.portal import Portal

        own = uuid.uuid4().hex[:8]
        self.alpha, self.beta = f"alpha-{own}", f"beta-{own}"
        self.portal = Portal(slugs=(self.alpha, self.beta), deadline=0.5)
        self.mine: dict[str, list[Dataset]] = {self.alpha: [], self.beta: []}

    async def open(self, slug: str, *datasets: Dataset) -> None:
        await in_db(apply, slug, "", Changes(datasets, token="t:1", restart=True))

    async def connect(self, slug: str) -> None:
        async def reply(command: Any, sealed: Any) -> Answer:
            if not sealed.grant_id:
                return NOT_FOUND
            if command.verb is Verb.SEARCH:
                return Answer(Outcome.OK, SearchPage(tuple(self.mine[slug])))
            found = [d for d in self.mine[slug] if d.pid == command.parameters.pid]
            return Answer(Outcome.OK, found[0]) if found else NOT_FOUND

        await self.portal.connect(slug, reply)

    async def find(self, cookie: str = "", **what: str) -> Any:
        """The dataset's id, or the code of why there is none."""
        answer = await self.portal.ask(FIND, what, cookie)
        if found := (answer.get("data") or {}).get("findDataset"):
            return found["id"]
        (error,) = answer["errors"]
        return error["extensions"]["code"]


def dataset(pid: str, **more: Any) -> Dataset:
    from tests.integration.portal import dataset

    return replace(dataset(pid, 1.0), **more)


@pytest.fixture
def link() -> Link:
    return Link()


async def test_open_data_are_found_by_either_and_no_facility_is_asked(link: Link) -> None:
    await link.connect(link.alpha)
    await link.open(link.alpha, dataset("20.500%2Fa", doi="10.5072/abc-1"), dataset("other", doi="10.5072/abc-12"))
    here = f"Dataset:{link.alpha}:20.500%2Fa"
    for pid in ("20.500%2Fa", "20.500/a"):
        assert await link.find(pid=pid) == here
    for doi in (
        "10.5072/Abc-1",
        "10.5072/ABC-1",
        "doi:10.5072/abc-1",
        "https://doi.org/10.5072/Abc-1",
        " 10.5072/Abc-1 ",
    ):
        assert await link.find(doi=doi) == here
    assert await link.find(doi="10.5072/abc-12") == f"Dataset:{link.alpha}:other"
    assert link.portal.agents.asked == []


async def test_what_was_withdrawn_is_not_found(link: Link) -> None:
    await link.open(link.alpha, dataset("a", doi="10.5072/gone"))
    await in_db(apply, link.alpha, "t:1", Changes(gone_datasets=("a",), token="t:2"))
    assert await link.find(pid="a") == "NOT_FOUND"
    assert await link.find(doi="10.5072/gone") == "NOT_FOUND"


async def test_ones_own_are_found_where_one_is_connected(link: Link) -> None:
    for slug in (link.alpha, link.beta):
        await link.connect(slug)
    link.mine[link.beta] = [dataset("p%2F1", doi="10.5072/mine", is_open=False)]
    sub = uuid.uuid4().hex[:8]
    ada, eve = (
        await link.portal.person(f"ada-{sub}", link.alpha, link.beta),
        await link.portal.person(f"eve-{sub}"),
    )
    for what in ({"pid": "p/1"}, {"doi": "10.5072/MINE"}):
        assert await link.find(ada, **what) == f"Dataset:{link.beta}:p%2F1"
        assert await link.find(eve, **what) == "NOT_FOUND"
        assert await link.find(**what) == "NOT_FOUND"
    assert {grant for _, _, grant in link.portal.agents.asked} == {
        f"grant-ada-{sub}-{link.alpha}", f"grant-ada-{sub}-{link.beta}",
    }  # fmt: skip


async def test_a_facility_that_does_not_answer_is_not_the_absence_of_data(link: Link) -> None:
    await link.connect(link.alpha)
    ada = await link.portal.person(f"ada-{uuid.uuid4().hex[:8]}", link.alpha, link.beta)
    assert await link.find(ada, pid="a") == "FACILITY_UNAVAILABLE"
    link.mine[link.alpha] = [dataset("a", is_open=False)]
    assert await link.find(ada, pid="a") == f"Dataset:{link.alpha}:a", "the other's silence does not matter then"
    assert await link.find(ada, pid="b", at=f"Facility:{link.alpha}") == "NOT_FOUND"


async def test_one_name_at_two_facilities_wants_the_facility(link: Link) -> None:
    for slug in (link.alpha, link.beta):
        await link.open(slug, dataset("same", doi="10.5072/same"))
    assert await link.find(pid="same") == await link.find(doi="10.5072/same") == "INVALID_REQUEST"
    assert await link.find(pid="same", at=f"Facility:{link.beta}") == f"Dataset:{link.beta}:same"


@pytest.mark.parametrize(
    "what",
    [{}, {"pid": "", "doi": ""}, {"pid": "a", "doi": "b"}, {"pid": "x" * 201}, {"doi": "x" * 201}],
)
async def test_a_link_names_one_thing(link: Link, what: dict[str, str]) -> None:
    assert await link.find(**what) == "INVALID_REQUEST"


@pytest.mark.parametrize(
    "text", ["a\0b", "%", "_", "' or 1=1 --", "\\", "%00", "🦄", "a\nb", "<script>", "../x", "Dataset:x:y"]
)
async def test_strange_text_names_nothing(link: Link, text: str) -> None:
    await link.open(link.alpha, dataset("a", doi="10.5072/a"))
    assert await link.find(pid=text) == "NOT_FOUND"
    assert await link.find(doi=text) == "NOT_FOUND"


async def test_a_facility_that_takes_no_part_is_none(link: Link) -> None:
    assert await link.find(pid="a", at="Facility:nowhere") == "NOT_FOUND"


def test_spellings() -> None:
    assert spellings("a/b%2F") == ("a/b%2F", "a%2Fb%252F")
    assert spellings("plain") == ("plain",)
    assert plain_doi("DOI:10.1/x") == "10.1/x"
