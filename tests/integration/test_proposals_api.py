"""One's own proposals through GraphQL: asked live of those who gave a grant, merged, each facility's outcome said."""

from __future__ import annotations

from typing import Any

import pytest

from shared.catalogue import Changes, Proposal, ProposalPage, SearchPage, key
from shared.commands import Answer, Problem, Verb
from shared.facilities import Outcome
from tests.integration.test_mirror import apply, fresh, in_db

pytestmark = pytest.mark.usefixtures("database")
LIST = """query($q: ProposalInput, $first: Int, $after: String) {
  proposals(query: $q, first: $first, after: $after) {
    nodes { id pid title startedAt isOpen members { name } facility { slug } }
    outcomes { facility { slug } outcome count ageSeconds problem { code message } }
    pageInfo { hasNextPage endCursor }
  }
}"""
ONE = "query($id: ID!) { proposal(id: $id) { id pid title summary isOpen doi members { name orcid } facility { slug } } }"


def proposal(pid: str, started: float | None = 1.0, **said: Any) -> Proposal:
    return Proposal(pid, title=f"Title {pid}", started=started, **said)


def holds(*proposals: Proposal, most: int = 100) -> Any:
    """A facility that answers as its agent does; `own` to nobody without a grant. Its cursors are places."""
    ranked = sorted(proposals, key=lambda p: key(p.started, p.pid))

    async def reply(command: Any, sealed: Any) -> Answer:
        query = command.parameters
        assert command.verb is Verb.PROPOSALS
        found = [p for p in ranked if not query.proposals or p.pid in query.proposals]
        found = [p for p in found if query.text in p.title and (p.is_open or sealed.grant_id)]
        begin, limit = int(query.after or 0), min(most, query.limit)
        page = tuple(found[begin : begin + limit])
        return Answer(Outcome.OK, ProposalPage(page, str(begin + limit) if begin + limit < len(found) else ""))

    return reply


def centre(*slugs: str, **options: Any) -> Any:
    from tests.integration.portal import Portal

    return Portal(slugs=slugs, **options)


def mirror() -> Any:
    from central_portal.mirror.searching import MirrorSearch

    return MirrorSearch()


async def test_all_facilities_pages_become_one_list_newest_first() -> None:
    one, two = sorted((fresh(), fresh()))
    portal = centre(one, two)
    await portal.connect(one, holds(*(proposal(f"a{n}", float(2 * n)) for n in range(5)), most=2))
    await portal.connect(
        two, holds(*(proposal(f"b{n}", float(2 * n + 1)) for n in range(4)), proposal("none", None))
    )
    ada = await portal.person(f"ada-{one}", one, two)
    seen: list[str] = []
    after = None
    while True:
        page = (await portal.ask(LIST, {"first": 3, "after": after}, ada))["data"]["proposals"]
        assert len(page["nodes"]) <= 3
        seen += [node["pid"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert seen == ["a4", "b3", "a3", "b2", "a2", "b1", "a1", "b0", "a0", "none"]
    assert {verb for _, verb, _ in portal.agents.asked} == {Verb.PROPOSALS}
    narrow = {"q": {"facilities": [f"Facility:{two}"], "text": "b2"}}
    only = (await portal.ask(LIST, narrow, ada))["data"]["proposals"]
    assert [node["id"] for node in only["nodes"]] == [f"Proposal:{two}:b2"]
    assert [o["facility"]["slug"] for o in only["outcomes"]] == [two]


async def test_each_facility_that_gives_nothing_is_named_with_its_reason() -> None:
    async def denies(*_: Any) -> Answer:
        return Answer(Outcome.DENIED, problem=Problem("ACCESS_DENIED", "Your account is closed."))

    async def never(*_: Any) -> Answer:
        await portal.agents.never.wait()
        raise AssertionError

    async def unsorted(*_: Any) -> Answer:
        return Answer(Outcome.OK, ProposalPage((proposal("x", 1.0), proposal("y", 2.0))))

    async def no_proposals(*_: Any) -> Answer:
        return Answer(Outcome.OK, SearchPage())

    async def ended(_: Any, sealed: Any) -> Answer:
        assert sealed.grant_id, "nobody's own is asked for without a grant"
        return Answer(Outcome.SIGN_IN_NEEDED, problem=Problem("SIGN_IN_NEEDED", "Sign in."))

    replies = {
        "works": holds(proposal("p")), "denies": denies, "never": never, "unsorted": unsorted, "ended": ended,
        "no-grant": holds(proposal("secret")), "other": no_proposals,
    }  # fmt: skip
    slugs = {name: f"{name}-{fresh()}"[:40] for name in [*replies, "away"]}
    portal = centre(*slugs.values(), deadline=0.2)
    for name, reply in replies.items():
        await portal.connect(slugs[name], reply)
    ada = await portal.person(
        f"ada-{slugs['works']}", *(slug for name, slug in slugs.items() if name != "no-grant")
    )
    page = (await portal.ask(LIST, {}, ada))["data"]["proposals"]
    assert [node["pid"] for node in page["nodes"]] == ["p"]
    said = {o["facility"]["slug"]: (o["outcome"], (o["problem"] or {}).get("code")) for o in page["outcomes"]}
    assert said == {
        slugs["works"]: ("OK", None),
        slugs["denies"]: ("DENIED", "ACCESS_DENIED"),
        slugs["never"]: ("TIMED_OUT", "DEADLINE_EXCEEDED"),
        slugs["unsorted"]: ("FAILED", "BACKEND_FAILED"),
        slugs["ended"]: ("SIGN_IN_NEEDED", "SIGN_IN_NEEDED"),
        slugs["no-grant"]: ("SIGN_IN_NEEDED", None),
        slugs["other"]: ("OK", None),
        slugs["away"]: ("OFFLINE", "FACILITY_UNAVAILABLE"),
    }
    assert slugs["no-grant"] not in {slug for slug, *_ in portal.agents.asked}


async def test_strangers_have_none_and_nobody_is_asked_for_them() -> None:
    slug = fresh()
    portal = centre(slug)
    await portal.connect(slug, holds(proposal("p", is_open=True)))
    refused = await portal.ask(LIST, {})
    assert refused["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    bob = await portal.person(f"bob-{slug}")
    found = (await portal.ask(LIST, {}, bob))["data"]["proposals"]
    assert found["nodes"] == []
    assert [o["outcome"] for o in found["outcomes"]] == ["SIGN_IN_NEEDED"]
    assert portal.agents.asked == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"first": 0},
        {"first": 101},
        {"after": "x"},
        {"q": {"text": "x" * 201}},
        {"q": {"facilities": ["Facility:nowhere"]}},
    ],
)
async def test_bad_questions_are_refused_and_ask_nobody(wrong: dict[str, Any]) -> None:
    slug = fresh()
    portal = centre(slug)
    await portal.connect(slug, holds(proposal("p")))
    ada = await portal.person(f"ada-{slug}", slug)
    refused = await portal.ask(LIST, wrong, ada)
    assert refused["errors"][0]["extensions"]["code"] in {"INVALID_REQUEST", "NOT_FOUND"}
    assert portal.agents.asked == []


async def test_one_proposal_is_read_by_those_who_may() -> None:
    slug = fresh()
    portal = centre(slug, open_data=mirror())
    await portal.connect(slug, holds(proposal("mine"), proposal("open", is_open=True)))
    known = proposal("open", is_open=True, doi="10.1/x")
    await in_db(apply, slug, "", Changes(proposals=(known,), token="t:1", restart=True))
    ada = await portal.person(f"ada-{slug}", slug)

    async def read(pid: str, cookie: str = "") -> Any:
        return (await portal.ask(ONE, {"id": f"Proposal:{slug}:{pid}"}, cookie))["data"]["proposal"]

    assert (await read("mine", ada))["title"] == "Title mine"
    assert (await read("open", ada))["isOpen"]
    asked = list(portal.agents.asked)
    stranger = await read("open")
    assert (stranger["id"], stranger["doi"]) == (f"Proposal:{slug}:open", "10.1/x")
    bob = await portal.person(f"bob-{slug}")
    for cookie in ("", bob):
        assert await read("mine", cookie) is None
        assert await read("x" * 101, cookie) is None
        assert await read("a\\u0000b", cookie) is None
    assert portal.agents.asked == asked, "who has no grant is answered from the mirror"
    assert await read("nothing", ada) is None
    node = "query($id: ID!) { node(id: $id) { __typename ... on Proposal { title } } }"
    found = await portal.ask(node, {"id": f"Proposal:{slug}:mine"}, ada)
    assert found["data"]["node"] == {"__typename": "Proposal", "title": "Title mine"}


async def test_a_facility_that_answers_with_another_proposal_is_not_believed() -> None:
    async def wrong(*_: Any) -> Answer:
        return Answer(Outcome.OK, ProposalPage((proposal("other"),)))

    slug = fresh()
    portal = centre(slug)
    await portal.connect(slug, wrong)
    ada = await portal.person(f"ada-{slug}", slug)
    assert (await portal.ask(ONE, {"id": f"Proposal:{slug}:mine"}, ada))["data"]["proposal"] is None


async def test_techniques_are_suggested_to_anybody() -> None:
    found = await centre(fresh()).ask(
        '{ techniques(text: "absorp spec") { id title } none: techniques(text: "") { id } }'
    )
    titles = [each["title"] for each in found["data"]["techniques"]]
    assert "x-ray absorption spectroscopy" in titles
    assert len(titles) <= 20
    assert found["data"]["none"] == []
    assert all(each["id"].startswith("http://purl.org/pan-science/PaNET/") for each in found["data"]["techniques"])
