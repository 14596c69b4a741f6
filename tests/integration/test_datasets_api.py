"""Datasets, their files, and search by technique and sample through GraphQL."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.catalogue import ArchiveState, DataFile, FilePage, Parameter, SearchPage
from shared.commands import Answer, GetFiles, Problem, Verb
from shared.facilities import Outcome
from shared.techniques import title

TITLE = title("PaNET01155")
pytestmark = pytest.mark.usefixtures("database")
FILES = "query($d: ID!, $first: Int, $after: String){files(dataset:$d, first:$first, after:$after){nodes{path sizeBytes modifiedAt} totalCount pageInfo{hasNextPage endCursor}}}"
SEARCH = "query($q: SearchInput!){search(query:$q){nodes{title techniques{id title} keywords parameters{name number text unit} doi licence releasedAt archiveState} outcomes{outcome}}}"


def centre(**options: Any) -> Any:
    from tests.integration.portal import Portal

    return Portal(slugs=("alpha",), **options)


def row() -> Any:
    from tests.integration.portal import dataset

    return replace(
        dataset("a", 1.0), techniques=("PaNET01196", "https://w3id.org/PaN/ESRFET#XAS"), keywords=("silver",),
        parameters=(Parameter("energy", 7.1, "keV"), Parameter("mode", "fly")), doi="10.1/x", licence="CC-BY-4.0",
        released=0.0, state=ArchiveState.ARCHIVED,
    )  # fmt: skip


async def test_a_dataset_shows_all_that_its_facility_says() -> None:
    portal = centre()

    async def answers(*_: Any) -> Answer:
        return Answer(Outcome.OK, SearchPage((row(),)))

    await portal.connect("alpha", answers)
    (node,) = (await portal.ask(SEARCH, {"q": {}}))["data"]["search"]["nodes"]
    assert node == {
        "title": "Title a", "keywords": ["silver"], "doi": "10.1/x", "licence": "CC-BY-4.0", "archiveState": "ARCHIVED",
        "releasedAt": "1970-01-01T00:00:00.000+00:00",
        "techniques": [
            {"id": "http://purl.org/pan-science/PaNET/PaNET01196", "title": "x-ray absorption spectroscopy"},
            {"id": "https://w3id.org/PaN/ESRFET#XAS", "title": "https://w3id.org/PaN/ESRFET#XAS"},
        ],
        "parameters": [
            {"name": "energy", "number": 7.1, "text": None, "unit": "keV"},
            {"name": "mode", "number": None, "text": "fly", "unit": ""},
        ],
    }  # fmt: skip


async def test_a_dataset_shows_the_environments_of_its_facility_that_suit_it() -> None:
    from tests.integration.portal import description

    portal, said = centre(), description("alpha")
    (any_,) = said.environments
    offered = (
        any_, replace(any_, id="xas", definitions=("NXxas",)), replace(any_, id="old", techniques=("PaNET01124",)),
        replace(any_, id="fits", techniques=("PaNET01155",), definitions=("nxsas",)),
    )  # fmt: skip

    async def answers(*_: Any) -> Answer:
        return Answer(Outcome.OK, row())

    await portal.connect("alpha", answers, replace(said, environments=offered))
    asked = "query($id: ID!){node(id:$id){... on Dataset{environments{slug techniques{id title} definitions facility{slug}}}}}"
    shown = (await portal.ask(asked, {"id": "Dataset:alpha:a"}))["data"]["node"]["environments"]
    assert shown == [
        {
            "slug": "fits", "definitions": ["nxsas"], "facility": {"slug": "alpha"},
            "techniques": [{"id": "http://purl.org/pan-science/PaNET/PaNET01155", "title": TITLE}],
        },
        {"slug": "jupyter", "techniques": [], "definitions": [], "facility": {"slug": "alpha"}},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "spelled",
    [
        "PaNET01196", "panet:panet01196", "http://purl.org/pan-science/PaNET/PaNET01196",
        "X-ray absorption spectroscopy", "xas",
    ],
)  # fmt: skip
async def test_a_technique_is_asked_for_in_any_spelling(spelled: str) -> None:
    portal, asked = centre(), list[Any]()

    async def answers(command: Any, _: Any) -> Answer:
        asked.append(command.parameters)
        return Answer(Outcome.OK, SearchPage())

    await portal.connect("alpha", answers)
    await portal.ask(SEARCH, {"q": {"techniques": [spelled], "sample": "silver"}})
    (query,) = asked
    assert (query.techniques, query.sample) == (("PaNET01196",), "silver")


@pytest.mark.parametrize("text", ["no such thing", "", "PaNET99999", "x" * 300, "a\nb", "'; drop table file; --"])
async def test_an_unknown_technique_is_refused_and_nobody_is_asked(text: str) -> None:
    portal, asked = centre(), list[Any]()

    async def answers(command: Any, _: Any) -> Answer:
        asked.append(command)
        return Answer(Outcome.OK, SearchPage())

    await portal.connect("alpha", answers)
    found = await portal.ask(SEARCH, {"q": {"techniques": [text]}})
    assert found["errors"][0]["extensions"]["code"] == "INVALID_REQUEST"
    assert asked == []


async def test_files_are_paged_by_the_facility() -> None:
    portal, asked = centre(), list[tuple[Verb, GetFiles]]()

    async def answers(command: Any, _: Any) -> Answer:
        asked.append((command.verb, command.parameters))
        if command.parameters.pid != "a":
            return Answer(Outcome.FAILED, problem=Problem("NOT_FOUND", "There is no such dataset."))
        return Answer(Outcome.OK, FilePage((DataFile("raw/1.dat", 2**40, 0.0), DataFile("b", 0)), "on", 17))

    await portal.connect("alpha", answers)
    found = await portal.ask(FILES, {"d": "Dataset:alpha:a", "first": 2, "after": "cursor"})
    assert found["data"]["files"] == {
        "nodes": [
            {"path": "raw/1.dat", "sizeBytes": 2**40, "modifiedAt": "1970-01-01T00:00:00.000+00:00"},
            {"path": "b", "sizeBytes": 0, "modifiedAt": None},
        ],
        "totalCount": 17, "pageInfo": {"hasNextPage": True, "endCursor": "on"},
    }  # fmt: skip
    assert asked == [(Verb.FILES, GetFiles("a", 2, "cursor"))]
    for missing in ("Dataset:alpha:b", "Dataset:nowhere:a", "Workspace:x", "Dataset:alpha:"):
        assert (await portal.ask(FILES, {"d": missing}))["data"]["files"] is None
    asked.clear()
    for wrong in ({"first": 0}, {"first": 101}, {"after": "x" * 513}):
        refused = await portal.ask(FILES, {"d": "Dataset:alpha:a", **wrong})
        assert refused["errors"][0]["extensions"]["code"] == "INVALID_REQUEST"
    assert asked == []
    await portal.disconnect("alpha")
    away = await portal.ask(FILES, {"d": "Dataset:alpha:a"})
    assert away["errors"][0]["extensions"]["code"] == "FACILITY_UNAVAILABLE"
