"""The federated search as people see it: what each facility's answer is called, slice by slice."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from shared.catalogue import SearchPage, SearchQuery
from shared.commands import Answer, Problem
from shared.errors import NotFound
from shared.facilities import Outcome

pytestmark = pytest.mark.usefixtures("database")


def centre(**options: Any) -> Any:
    from tests.integration.portal import Portal

    return Portal(**options)


def row(pid: str, started: float) -> Any:
    from tests.integration.portal import dataset

    return dataset(pid, started)


def answers(*datasets: Any) -> Any:
    from tests.integration.portal import finds

    return finds(*datasets)


def without_grant_only(reason: str, outcome: Outcome) -> Any:
    """A facility that refuses every grant, and shows what is open to everybody."""

    async def reply(_: Any, sealed: Any) -> Answer:
        if sealed.grant_id:
            return Answer(outcome, problem=Problem(reason, "No."))
        return Answer(Outcome.OK, SearchPage((row("open", 1.0),)))

    return reply


async def caller_of(portal: Any, cookie: str) -> Any:
    from central_portal.identity.services import COOKIE

    return await portal.identity.caller({COOKIE: cookie})


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [("SIGN_IN_NEEDED", Outcome.SIGN_IN_NEEDED), ("ACCOUNT_NOT_LINKED", Outcome.NOT_LINKED)],
)
async def test_a_grant_that_has_ended_still_shows_open_data_and_says_so(reason: str, outcome: Outcome) -> None:
    portal = centre(slugs=("alpha",))
    await portal.connect("alpha", without_grant_only(reason, outcome))
    ada = await caller_of(portal, await portal.person(f"ada-{reason}", "alpha"))
    for _ in range(2):  # the second time without a grant, which the portal has dropped
        merged = await portal.services.search.search(ada, SearchQuery(), [])
        assert [f.record.pid for f in merged.found] == ["open"]
        assert [a.outcome for a in merged.answers] == [outcome]
    assert [bool(grant) for _, _, grant in portal.agents.asked] == [True, False, False]


async def test_a_refusal_is_denied_with_the_facilitys_words() -> None:
    async def denies(*_: Any) -> Answer:
        return Answer(Outcome.DENIED, problem=Problem("PROPOSAL_DENIED", "Not a member of P1."))

    portal = centre(slugs=("alpha",))
    await portal.connect("alpha", denies)
    (answer,) = (await portal.services.search.search(None, SearchQuery(), [])).answers
    assert (answer.outcome, answer.problem.message) == (Outcome.DENIED, "Not a member of P1.")


async def test_a_catalogue_that_answered_in_part_is_partial() -> None:
    async def part(*_: Any) -> Answer:
        return Answer(Outcome.OK, SearchPage((row("a", 1.0),), complete=False, note="One folder is away."))

    portal = centre(slugs=("alpha",))
    await portal.connect("alpha", part)
    merged = await portal.services.search.search(None, SearchQuery(), [])
    assert merged.answers[0].outcome is Outcome.PARTIAL
    assert merged.answers[0].problem.message == "One folder is away."
    assert len(merged.found) == 1


async def test_a_fault_of_ours_at_one_facility_spares_the_others(caplog: pytest.LogCaptureFixture) -> None:
    async def breaks(*_: Any) -> Answer:
        raise RuntimeError("a secret path")

    portal = centre()
    await portal.connect("alpha", breaks)
    await portal.connect("beta", answers(row("b", 1.0)))
    with caplog.at_level(logging.ERROR):
        merged = await portal.services.search.search(None, SearchQuery(), [])
    assert [a.outcome for a in merged.answers] == [Outcome.FAILED, Outcome.OK]
    assert "secret" not in merged.answers[0].problem.message
    assert [f.record.pid for f in merged.found] == ["b"]
    assert "alpha" in caplog.text


async def test_slices_come_as_facilities_answer_and_late_answers_change_nothing() -> None:
    held, answered = asyncio.Event(), []

    async def late(*_: Any) -> Answer:
        try:
            await held.wait()
        finally:
            answered.append("late")
        return Answer(Outcome.OK, SearchPage((row("late", 9.0),)))

    portal = centre(deadline=0.2)
    await portal.connect("alpha", answers(row("a", 1.0)))
    await portal.connect("beta", late)
    slices = [merged async for merged in portal.services.search.progress(None, SearchQuery(), [])]
    assert [(len(s.answers), s.done) for s in slices] == [(1, False), (2, True)]
    assert {a.facility_id: a.outcome for a in slices[-1].answers} == {
        "alpha": Outcome.OK,
        "beta": Outcome.TIMED_OUT,
    }
    assert answered == ["late"], "nobody waits for it any more"
    held.set()
    assert [f.record.pid for f in slices[-1].found] == ["a"]


async def test_who_stops_watching_stops_the_questions() -> None:
    ended = asyncio.Event()

    async def never(*_: Any) -> Answer:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    portal = centre(deadline=30.0)
    await portal.connect("alpha", answers())
    await portal.connect("beta", never)
    slices = portal.services.search.progress(None, SearchQuery(), [])
    assert not (await anext(slices)).done
    await slices.aclose()
    await asyncio.wait_for(ended.wait(), 5)


async def test_the_end_of_a_search_is_said_even_when_nobody_is_asked() -> None:
    portal = centre(slugs=())
    assert [s.done async for s in portal.services.search.progress(None, SearchQuery(), [])] == [True]


async def test_only_the_chosen_facilities_are_asked() -> None:
    portal = centre()
    for slug in ("alpha", "beta"):
        await portal.connect(slug, answers(row(slug, 1.0)))
    merged = await portal.services.search.search(None, SearchQuery(), ["beta", "beta"])
    assert [a.facility_id for a in merged.answers] == ["beta"]
    assert [slug for slug, _, _ in portal.agents.asked] == ["beta"]
    with pytest.raises(NotFound):
        await portal.services.search.search(None, SearchQuery(), ["alpha", "nowhere"])
    assert len(portal.agents.asked) == 1


@pytest.mark.parametrize("told_as_it_goes", [False, True])
async def test_two_questions_to_one_facility_share_the_time_of_a_search(told_as_it_goes: bool) -> None:
    """Each answers within its own deadline, but together they take too long."""
    refused, answered = asyncio.Event(), asyncio.Event()

    async def slow_twice(_: Any, sealed: Any) -> Answer:
        if sealed.grant_id:
            await refused.wait()
            return Answer(Outcome.SIGN_IN_NEEDED, problem=Problem("SIGN_IN_NEEDED", "No."))
        await answered.wait()
        return Answer(Outcome.OK, SearchPage((row("late", 9.0),)))

    portal = centre(deadline=0.5)
    ada = await caller_of(portal, await portal.person(f"ada-slow-{told_as_it_goes}", "alpha"))
    await portal.connect("alpha", slow_twice)
    await portal.connect("beta", answers(row("b", 1.0)))
    asyncio.get_running_loop().call_later(0.4, refused.set)
    asyncio.get_running_loop().call_later(0.85, answered.set)
    search = portal.services.search
    if told_as_it_goes:
        merged = [slice_ async for slice_ in search.progress(ada, SearchQuery(), [])][-1]
    else:
        merged = await search.search(ada, SearchQuery(), [])
    assert [(a.facility_id, a.outcome) for a in merged.answers] == [
        ("alpha", Outcome.TIMED_OUT),
        ("beta", Outcome.SIGN_IN_NEEDED),  # it has no grant there
    ]
    assert [f.record.pid for f in merged.found] == ["b"]
    assert merged.done
