"""A search for one's own data, or for open data, through GraphQL: who is asked, and what is said where it cannot be answered."""

from __future__ import annotations

from typing import Any

import pytest

from shared.catalogue import Belonging, SearchPage
from shared.commands import Answer, Problem
from shared.facilities import Outcome

pytestmark = pytest.mark.usefixtures("database")
SEARCH = """query($q: SearchInput!, $first: Int, $after: String) {
  search(query: $q, first: $first, after: $after) {
    nodes { pid } outcomes { facility { slug } outcome count problem { message } } pageInfo { hasNextPage endCursor }
  }
}"""


def centre(*slugs: str) -> Any:
    from tests.integration.portal import Portal

    return Portal(slugs=slugs)


def rows() -> list[Any]:
    from tests.integration.portal import dataset

    return [dataset(f"{kind}{n}", 10.0 - n, is_open=kind == "open") for n in range(3) for kind in ("mine", "open")]


def holds(asked: list[Any], *, knows: bool = True) -> Any:
    """A facility that narrows to one's own, as an agent of today; one that does not know how shows everything."""

    async def reply(command: Any, sealed: Any) -> Answer:
        query = command.parameters
        asked.append((query, bool(sealed.grant_id)))
        narrow = knows and query.belonging is Belonging.OWN
        found = [d for d in rows() if (d.is_open and not narrow) or (sealed.grant_id and not d.is_open)]
        begin = int(query.after or 0)
        page = tuple(found[begin : begin + query.limit])
        more = begin + query.limit < len(found)
        said = query.belonging if knows else Belonging.ANY
        return Answer(Outcome.OK, SearchPage(page, str(begin + query.limit) if more else "", belonging=said))

    return reply


async def pids(portal: Any, cookie: str | None, **query: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
    answer = (await portal.ask(SEARCH, {"q": query}, cookie))["data"]["search"]
    said = [(o["facility"]["slug"], o["outcome"], (o["problem"] or {}).get("message")) for o in answer["outcomes"]]
    return [node["pid"] for node in answer["nodes"]], said


async def test_ones_own_is_asked_for_under_a_grant_and_paged_without_a_repeat() -> None:
    portal, asked = centre("alpha"), list[Any]()
    await portal.connect("alpha", holds(asked))
    ada = await portal.person("ada-own", "alpha")
    seen: list[str] = []
    after = None
    while True:
        page = (await portal.ask(SEARCH, {"q": {"belonging": "OWN"}, "first": 1, "after": after}, ada))["data"][
            "search"
        ]
        seen += [node["pid"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert seen == ["mine0", "mine1", "mine2"]
    assert all(query.belonging is Belonging.OWN and granted for query, granted in asked)
    assert (await pids(portal, ada))[0] == ["mine0", "open0", "mine1", "open1", "mine2", "open2"]


async def test_open_data_are_asked_for_in_nobodys_name() -> None:
    portal, asked = centre("alpha"), list[Any]()
    await portal.connect("alpha", holds(asked))
    ada = await portal.person("ada-open", "alpha")
    found, said = await pids(portal, ada, belonging="OPEN")
    assert found == ["open0", "open1", "open2"]
    assert said == [("alpha", "OK", None)]
    assert [(query.belonging, granted) for query, granted in asked] == [(Belonging.ANY, False)]


async def test_nobody_who_is_not_signed_in_has_their_own_and_nobody_is_asked() -> None:
    portal, asked = centre("alpha"), list[Any]()
    await portal.connect("alpha", holds(asked))
    refused = await portal.ask(SEARCH, {"q": {"belonging": "OWN"}})
    assert refused["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert asked == []
    assert (await pids(portal, None, belonging="OPEN"))[0] == ["open0", "open1", "open2"]


async def test_a_facility_without_a_grant_is_not_asked_and_says_what_to_do() -> None:
    portal, asked, other = centre("alpha", "beta"), list[Any](), list[Any]()
    await portal.connect("alpha", holds(asked))
    await portal.connect("beta", holds(other))
    ada = await portal.person("ada-one", "alpha")
    found, said = await pids(portal, ada, belonging="OWN")
    assert found == ["mine0", "mine1", "mine2"]
    assert sorted(said) == [("alpha", "OK", None), ("beta", "SIGN_IN_NEEDED", None)]
    assert other == []


async def test_a_grant_that_has_ended_shows_nothing_of_others_as_ones_own() -> None:
    portal, asked = centre("alpha"), list[Any]()

    async def refuses(command: Any, sealed: Any) -> Answer:
        asked.append(sealed.grant_id)
        return Answer(Outcome.SIGN_IN_NEEDED, problem=Problem("SIGN_IN_NEEDED", "Sign in."))

    await portal.connect("alpha", refuses)
    ada = await portal.person("ada-ended", "alpha")
    found, said = await pids(portal, ada, belonging="OWN")
    assert (found, [outcome for _, outcome, _ in said]) == ([], ["SIGN_IN_NEEDED"])
    assert len(asked) == 1, "open data are not asked for instead"


async def test_an_older_agent_that_narrows_nothing_shows_nothing_and_it_is_said() -> None:
    portal, old, new = centre("alpha", "beta"), list[Any](), list[Any]()
    await portal.connect("alpha", holds(old, knows=False))
    await portal.connect("beta", holds(new))
    ada = await portal.person("ada-old", "alpha", "beta")
    found, said = await pids(portal, ada, belonging="OWN")
    assert found == ["mine0", "mine1", "mine2"], "beta's alone"
    message = "The facility's software is older and cannot show your own data alone; look among all data."
    assert sorted(said) == [("alpha", "PARTIAL", message), ("beta", "OK", None)]
    assert (await pids(portal, ada, belonging="OPEN"))[0] == [f"open{n}" for n in (0, 0, 1, 1, 2, 2)]


async def test_it_is_one_of_three_words() -> None:
    portal = centre("alpha")
    refused = await portal.ask(SEARCH, {"q": {"belonging": "THEIRS"}})
    assert "errors" in refused
