"""An order's life in the agent: carried out once however often it comes and whenever the process ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from facility_agent.core import orders as orders_module
from facility_agent.ports.moments import Moment
from facility_agent.ports.store import SeenRow
from shared.commands import Answer, Done, Stop, Unlink, Verb
from shared.errors import BackendUnavailable
from shared.facilities import Outcome
from shared.limits import LIMITS
from shared.wire import proof
from shared.wire.commands import encode_body
from shared.workspaces import LAST_SEQUENCE, WorkspaceReport, WorkspaceState
from tests.agent_parts import ADA, LAUNCH, SECRETS, Agent, Facility, Killed, until, workspace
from tests.link_parts import eventually

W1, W2, W3 = workspace(1), workspace(2), workspace(3)
S1, U1 = "stop-1", "unlink-1"


@pytest.fixture
async def facility(tmp_path: Path) -> AsyncIterator[Facility]:
    facility = Facility(tmp_path)
    yield facility
    await facility.close()


@pytest.fixture
async def agent(facility: Facility) -> Agent:
    agent = await facility.agent()
    await agent.linked("ada", "eve")
    return agent


def reported(answer: Answer | None) -> WorkspaceReport:
    assert answer is not None
    assert answer.outcome is Outcome.OK, answer.problem
    assert isinstance(answer.payload, WorkspaceReport)
    return answer.payload


def refused(answer: Answer | None) -> str:
    assert answer is not None
    assert answer.payload is None
    assert answer.problem is not None
    return answer.problem.reason


async def running(agent: Agent, name: str = W1) -> None:
    await agent.workspaces.look()
    await eventually(lambda: agent.seen(name).handle != "")
    await agent.workspaces.look()
    assert agent.seen(name).state is WorkspaceState.RUNNING


# --- one order


async def test_a_launch_is_accepted_carried_out_once_and_answered_again_from_the_store(
    facility: Facility, agent: Agent
) -> None:
    asked = facility.order(W1, LAUNCH)
    answer, told = await agent.take(asked)
    report = reported(answer)
    assert (told, report.workspace_id, report.state) == (1, W1, WorkspaceState.STARTING)
    await running(agent)
    row = await agent.store.transact(lambda tx: tx.order(W1))
    assert row is not None
    assert (row.verb, row.subject, row.body, row.settled_at) == (Verb.LAUNCH, ADA, b"", facility.now)
    facility.now += 10_000
    again, told = await agent.take(asked)
    assert (again, told) == (answer, 1), "expiry and grant are not looked at again"
    assert facility.scheduler.started == [W1]


async def test_two_deliveries_at_once_are_one_order(facility: Facility, agent: Agent) -> None:
    asked = facility.order(W1, LAUNCH)
    answers = await asyncio.gather(*(agent.take(asked) for _ in range(5)))
    assert {told for _, told in answers} == {1}
    assert len({str(answer) for answer, _ in answers}) == 1
    await running(agent)
    assert facility.scheduler.started == [W1]


async def test_the_same_order_is_answered_after_a_sign_out(facility: Facility, agent: Agent) -> None:
    asked = facility.order(W1, LAUNCH)
    first, _ = await agent.take(asked)
    await agent.store.transact(lambda tx: tx.end_sid("https://op", "ada", "sid", facility.now + 600))
    assert await agent.store.transact(lambda tx: tx.grant("grant-ada")) is None
    assert (await agent.take(asked))[0] == first
    assert refused((await agent.take(facility.order(W2, LAUNCH)))[0]) == "SIGN_IN_NEEDED"


@pytest.mark.parametrize("change", ["body", "grant", "mac"])
async def test_other_bytes_under_the_same_id_are_a_conflict(facility: Facility, agent: Agent, change: str) -> None:
    asked = facility.order(W1, LAUNCH)
    first, _ = await agent.take(asked)
    await running(agent)
    other = facility.order(W1, replace(LAUNCH, title="Other"), "grant-eve" if change == "grant" else "grant-ada")
    forged = replace(asked, mac=b"x" * 32) if change == "mac" else other
    before = await agent.row(W1)
    answer, told = await agent.take(forged)
    assert (refused(answer), told) == ("CONFLICT", 0)
    assert await agent.row(W1) == before
    assert (await agent.take(asked))[0] == first


async def test_more_than_can_be_carried_out_at_once_is_neither_accepted_nor_refused(
    facility: Facility, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders_module, "AT_ONCE", 0)
    asked = facility.order(W1, LAUNCH)
    assert await agent.take(asked) == (None, 0)
    await nothing_happened(facility, agent)
    monkeypatch.undo()
    assert reported((await agent.take(asked))[0]).state is WorkspaceState.STARTING


async def test_an_id_used_by_a_query_is_a_conflict_both_ways(facility: Facility, agent: Agent) -> None:
    await agent.store.transact(lambda tx: tx.remember(SeenRow(W1, "grant-ada", "hash", facility.now + 60)))
    assert refused((await agent.take(facility.order(W1, LAUNCH)))[0]) == "CONFLICT"
    assert await agent.store.transact(lambda tx: tx.order(W1)) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"mac": b"m" * 32}, "SIGN_IN_NEEDED"),
        ({"grant_id": "nobody"}, "SIGN_IN_NEEDED"),
        ({"grant_id": "", "mac": b""}, "SIGN_IN_NEEDED"),
        ({"order_id": W2}, "INVALID_REQUEST"),
    ],
)
async def test_a_forged_order_leaves_nothing(
    facility: Facility, agent: Agent, change: dict[str, object], reason: str
) -> None:
    asked = replace(facility.order(W1, LAUNCH), **change)  # type: ignore[arg-type]
    answer, told = await agent.take(asked)
    assert (refused(answer), told) == (reason, 0)
    await nothing_happened(facility, agent)


@pytest.mark.parametrize("expires_in", [-1.0, LIMITS.command_ahead + 1, None])
async def test_a_launch_outside_its_life_leaves_nothing(
    facility: Facility, agent: Agent, expires_in: float | None
) -> None:
    answer, told = await agent.take(facility.order(W1, LAUNCH, expires_in=expires_in))
    assert (refused(answer), told) == ("EXPIRED", 0)
    assert await agent.row(W1) is None
    assert facility.scheduler.started == []


async def test_a_refusal_stands_however_late_and_by_whomever_the_order_is_brought_again(
    facility: Facility, agent: Agent
) -> None:
    asked = facility.order(W1, LAUNCH, expires_in=60)
    facility.now += 61
    assert refused((await agent.take(asked))[0]) == "EXPIRED"
    facility.now -= 61  # a clock that was moved there and back: the person has long been told no
    for _ in range(2):
        assert refused((await agent.take(asked))[0]) == "EXPIRED"
        await agent.die()
        agent = await facility.agent()
    assert [result.order_id for result in await agent.orders.waiting(None, 10)] == [W1], "sent until acknowledged"
    assert await agent.row(W1) is None
    assert facility.scheduler.started == []


async def test_a_query_does_not_come_as_an_order_nor_an_order_as_a_query(facility: Facility, agent: Agent) -> None:
    from shared.catalogue import SearchQuery

    body = encode_body("alpha", "q-1", Verb.SEARCH, SearchQuery(), int((facility.now + 60) * 1000))
    mac = proof.mac(SECRETS["grant-ada"], body)
    asked = replace(facility.order(W1, LAUNCH), order_id="q-1", body=body, mac=mac)
    assert refused((await agent.take(asked))[0]) == "INVALID_REQUEST"
    launch = facility.order(W1, LAUNCH)
    from shared.wire.commands import decode_body

    answer = await agent.core.handle(launch.body, launch.grant_id, launch.mac, decode_body)
    assert refused(answer) == "INVALID_REQUEST"
    await nothing_happened(facility, agent)


async def nothing_happened(facility: Facility, agent: Agent) -> None:
    assert [await agent.store.transact(lambda tx, w=w: tx.order(w)) for w in (W1, W2, "q-1")] == [None] * 3
    assert await agent.row(W1) is None
    assert facility.scheduler.started == []


async def test_a_refused_order_is_judged_again_when_it_comes_again(facility: Facility, agent: Agent) -> None:
    asked = facility.order(W1, LAUNCH)
    await agent.store.transact(lambda tx: tx.delete_grant("grant-ada"))
    assert refused((await agent.take(asked))[0]) == "SIGN_IN_NEEDED"
    await agent.linked("ada")
    assert reported((await agent.take(asked))[0]).state is WorkspaceState.STARTING


async def test_a_refusal_by_the_effect_is_final(facility: Facility, agent: Agent) -> None:
    denied = facility.order(W1, replace(LAUNCH, proposals=("P9",)))
    answer, told = await agent.take(denied)
    assert (refused(answer), told) == ("PROPOSAL_DENIED", 1)
    assert (await agent.take(denied))[0] == answer
    assert await agent.row(W1) is None
    for name in (W2, W3, workspace(4)):
        reported((await agent.take(facility.order(name, LAUNCH)))[0])
    assert refused((await agent.take(facility.order(workspace(5), LAUNCH)))[0]) == "QUOTA_EXCEEDED"
    await eventually(lambda: sorted(facility.scheduler.started) == [W2, W3, workspace(4)])


async def test_a_directory_that_is_away_refuses_a_launch_and_not_a_stop(facility: Facility, agent: Agent) -> None:
    await agent.take(facility.order(W1, LAUNCH))
    await running(agent)
    facility.people.down = True
    assert refused((await agent.take(facility.order(W2, LAUNCH)))[0]) == "BACKEND_UNAVAILABLE"
    answer, _ = await agent.take(facility.order(S1, Stop(W1), expires_in=None))
    assert reported(answer).state is WorkspaceState.STOPPING
    await eventually(lambda: facility.scheduler.stopped == [W1])


# --- stopping and unlinking


async def test_stopping_never_expires_and_tells_what_it_found(facility: Facility, agent: Agent) -> None:
    await agent.take(facility.order(W1, LAUNCH))
    await running(agent)
    stop = facility.order(S1, Stop(W1), expires_in=None)
    facility.now += 40_000
    assert reported((await agent.take(stop))[0]).state is WorkspaceState.STOPPING
    await eventually(lambda: agent.seen(W1).state is WorkspaceState.ENDED)
    late = reported((await agent.take(facility.order("stop-2", Stop(W1), expires_in=None)))[0])
    assert (late.state, late.reason) == (WorkspaceState.ENDED, "")
    assert facility.scheduler.stopped == [W1]


async def test_stopping_is_over_with_the_grant(facility: Facility, agent: Agent) -> None:
    facility.now += 50_000
    assert refused((await agent.take(facility.order(S1, Stop(W1), expires_in=None)))[0]) == "SIGN_IN_NEEDED"


async def test_a_stop_that_comes_first_cancels_the_launch(facility: Facility, agent: Agent) -> None:
    cancelled = reported((await agent.take(facility.order(S1, Stop(W1), expires_in=None)))[0])
    assert (cancelled.state, cancelled.reason) == (WorkspaceState.ENDED, "CANCELLED")
    assert cancelled.sequence == LAST_SEQUENCE, "it counts after whatever a store that is lost had said"
    launched = reported((await agent.take(facility.order(W1, LAUNCH)))[0])
    assert (launched.state, launched.reason) == (WorkspaceState.ENDED, "CANCELLED")
    await agent.workspaces.look()
    assert facility.scheduler.started == []
    assert agent.workspaces.inventory().reports == ()


async def test_nobody_cancels_or_stops_what_is_somebody_elses(facility: Facility, agent: Agent) -> None:
    stolen = facility.order("stop-eve", Stop(W1), "grant-eve", None)
    assert reported((await agent.take(stolen))[0]).reason == "CANCELLED", "Eve learns nothing of others' ids"
    assert reported((await agent.take(facility.order(W1, LAUNCH)))[0]).state is WorkspaceState.STARTING
    await running(agent)
    assert refused((await agent.take(facility.order("stop-eve-2", Stop(W1), "grant-eve", None)))[0]) == "NOT_FOUND"
    assert agent.seen(W1).state is WorkspaceState.RUNNING
    assert facility.scheduler.stopped == []


async def test_a_stop_that_fails_for_a_while_is_tried_again(facility: Facility, agent: Agent) -> None:
    agent.watch()
    await agent.take(facility.order(W1, LAUNCH))
    await eventually(lambda: agent.seen(W1).state is WorkspaceState.RUNNING)
    facility.scheduler.stubborn = 2
    await agent.take(facility.order(S1, Stop(W1), expires_in=None))
    await eventually(lambda: agent.seen(W1).state is WorkspaceState.ENDED, 15)
    assert facility.scheduler.stopped == [W1]


async def test_a_stop_overtakes_a_start_that_takes_long(facility: Facility, agent: Agent) -> None:
    facility.scheduler.hold = asyncio.Event()
    await agent.take(facility.order(W1, LAUNCH))
    await eventually(lambda: facility.scheduler.started == [W1])
    assert reported((await agent.take(facility.order(S1, Stop(W1), expires_in=None)))[0]).state.value == "STOPPING"
    facility.scheduler.hold.set()
    await eventually(lambda: agent.seen(W1).state is WorkspaceState.ENDED)
    assert facility.scheduler.stopped == [W1]


async def test_unlinking_ends_the_link_and_its_grants_with_its_result(facility: Facility, agent: Agent) -> None:
    asked = facility.order(U1, Unlink(), expires_in=None)
    answer, told = await agent.take(asked)
    assert answer == Answer(Outcome.OK, Done())
    assert told == 1
    link = await agent.store.transact(lambda tx: tx.link_of(ADA))
    assert link is not None
    assert (link.active, link.generation) == (False, 2)
    assert await agent.store.transact(lambda tx: tx.grant("grant-ada")) is None
    assert (await agent.take(asked))[0] == answer
    assert refused((await agent.take(facility.order(W1, LAUNCH)))[0]) == "SIGN_IN_NEEDED"


async def test_an_old_unlink_does_not_touch_a_link_made_since(facility: Facility, agent: Agent) -> None:
    dying = await reborn(facility, agent, Moment.BEFORE_EFFECT)
    await dying.dies_of(facility.order(U1, Unlink(), expires_in=None))
    agent = await facility.agent()
    link = await agent.store.transact(lambda tx: tx.link_of(ADA))
    assert link is not None
    await agent.store.transact(lambda tx: tx.put_link(replace(link, generation=3)))
    agent.watch()
    await eventually_settled(agent, U1)
    assert await agent.store.transact(lambda tx: tx.link_of(ADA)) == replace(link, generation=3)


# --- the process ends


async def reborn(facility: Facility, agent: Agent, kill_at: Moment) -> Agent:
    await agent.die()
    return await facility.agent(kill_at)


async def eventually_settled(agent: Agent, order_id: str) -> None:
    async def settled() -> bool:
        row = await agent.store.transact(lambda tx: tx.order(order_id))
        return row is not None and row.settled_at is not None

    await until(settled)


BEFORE_ACCEPTED = {Moment.BEFORE_STORE, Moment.AFTER_STORE}
LAUNCH_MOMENTS = [
    Moment.BEFORE_STORE, Moment.AFTER_STORE, Moment.BEFORE_EFFECT, Moment.DURING_EFFECT, Moment.AFTER_EFFECT,
    Moment.BEFORE_RESULT,
]  # fmt: skip


@pytest.mark.parametrize("moment", LAUNCH_MOMENTS)
async def test_a_launch_survives_the_end_of_the_process(facility: Facility, agent: Agent, moment: Moment) -> None:
    asked = facility.order(W1, LAUNCH)
    told = await (await reborn(facility, agent, moment)).dies_of(asked)
    assert told == ([] if moment in BEFORE_ACCEPTED else [1])
    agent = await facility.agent()
    agent.watch()
    if moment is not Moment.BEFORE_STORE:
        await eventually_settled(agent, W1)  # by itself: no hub is needed
    answer, _ = await agent.take(asked)
    assert reported(answer).state is WorkspaceState.STARTING
    await eventually(lambda: agent.seen(W1).state is WorkspaceState.RUNNING)
    assert facility.scheduler.started == [W1]
    waiting = await agent.orders.waiting(None, 10)
    assert [result.order_id for result in waiting] == [W1]


@pytest.mark.parametrize("moment", LAUNCH_MOMENTS)
async def test_a_stop_survives_the_end_of_the_process(facility: Facility, agent: Agent, moment: Moment) -> None:
    await agent.take(facility.order(W1, LAUNCH))
    await running(agent)
    asked = facility.order(S1, Stop(W1), expires_in=None)
    dying = await reborn(facility, agent, moment)
    await dying.dies_of(asked)
    agent = await facility.agent()
    agent.watch()
    answer, _ = await agent.take(asked)
    assert reported(answer).state in (WorkspaceState.STOPPING, WorkspaceState.ENDED)
    await eventually(lambda: agent.seen(W1).state is WorkspaceState.ENDED)
    assert facility.scheduler.stopped == [W1]
    assert facility.scheduler.started == [W1]


@pytest.mark.parametrize("moment", [Moment.AFTER_STORE, Moment.BEFORE_EFFECT, Moment.BEFORE_RESULT])
async def test_an_unlink_survives_the_end_of_the_process(facility: Facility, agent: Agent, moment: Moment) -> None:
    asked = facility.order(U1, Unlink(), expires_in=None)
    await (await reborn(facility, agent, moment)).dies_of(asked)
    agent = await facility.agent()
    agent.watch()
    await eventually_settled(agent, U1)
    link = await agent.store.transact(lambda tx: tx.link_of(ADA))
    assert link is not None
    assert (link.active, link.generation) == (False, 2)
    assert (await agent.take(asked))[0] == Answer(Outcome.OK, Done())


async def test_an_accepted_order_is_carried_out_although_the_person_signed_out(
    facility: Facility, agent: Agent
) -> None:
    await (await reborn(facility, agent, Moment.BEFORE_EFFECT)).dies_of(facility.order(W1, LAUNCH))
    agent = await facility.agent()
    await agent.store.transact(lambda tx: tx.end_sid("https://op", "ada", "sid", facility.now + 600))
    agent.watch()
    await eventually(lambda: facility.scheduler.started == [W1])


async def test_an_accepted_launch_is_refused_when_the_account_was_unlinked_meanwhile(
    facility: Facility, agent: Agent
) -> None:
    asked = facility.order(W1, LAUNCH)
    await (await reborn(facility, agent, Moment.BEFORE_EFFECT)).dies_of(asked)
    agent = await facility.agent()
    link = await agent.store.transact(lambda tx: tx.link_of(ADA))
    assert link is not None
    await agent.store.transact(lambda tx: tx.put_link(replace(link, active=False, generation=2)))
    agent.watch()
    await eventually_settled(agent, W1)
    assert refused((await agent.take(asked))[0]) == "ACCOUNT_NOT_LINKED"
    assert facility.scheduler.started == []


async def test_a_launch_is_not_repeated_before_the_scheduler_was_read(facility: Facility, agent: Agent) -> None:
    asked = facility.order(W1, LAUNCH)
    await (await reborn(facility, agent, Moment.BEFORE_EFFECT)).dies_of(asked)
    facility.scheduler.down = True
    agent = await facility.agent()
    agent.watch()
    answer, told = await agent.take(asked)
    assert (answer, told) == (None, 1), "accepted, and no result yet"
    assert await agent.row(W1) is None
    assert not agent.workspaces.inventory().complete
    facility.scheduler.down = False
    await eventually(lambda: facility.scheduler.started == [W1])


async def test_a_start_that_was_lost_is_begun_again_only_within_its_time(facility: Facility, agent: Agent) -> None:
    for name in (W1, W2):
        dying = await reborn(facility, facility.agents[-1], Moment.DURING_EFFECT)
        facility.scheduler.hold = asyncio.Event()
        await dying.dies_of(facility.order(name, LAUNCH))
    facility.scheduler.runs.clear()
    facility.scheduler.started.clear()
    facility.scheduler.hold = None
    first = await facility.agent()
    row = await first.row(W2)
    await first.store.transact(lambda tx: tx.put_workspace(replace(row, created_at=facility.now - 601)))
    await first.die()
    agent = await facility.agent()
    agent.watch()
    await eventually(lambda: agent.seen(W1).state is WorkspaceState.RUNNING)
    await eventually(lambda: agent.seen(W2).state is WorkspaceState.FAILED)
    assert agent.seen(W2).reason == "TIMED_OUT"
    assert facility.scheduler.started == [W1]


async def test_an_unreadable_scheduler_ends_nothing(facility: Facility, agent: Agent) -> None:
    await (await reborn(facility, agent, Moment.AFTER_EFFECT)).dies_of(facility.order(W1, LAUNCH))
    facility.scheduler.down = True
    agent = await facility.agent()
    agent.watch()
    for _ in range(3):
        with pytest.raises(BackendUnavailable):
            await agent.workspaces.probed()
        with suppress(BackendUnavailable):
            await agent.workspaces.look()
    assert agent.seen(W1).state is WorkspaceState.STARTING
    facility.scheduler.down = False
    await eventually(lambda: agent.seen(W1).state is WorkspaceState.RUNNING)
    assert facility.scheduler.started == [W1]


async def test_what_runs_without_a_row_is_told_and_left_alone(facility: Facility, agent: Agent) -> None:
    facility.scheduler.runs.add(W3)
    await agent.take(facility.order(W1, LAUNCH))
    await running(agent)
    await agent.workspaces.probed()
    told = agent.workspaces.inventory()
    assert (told.unowned, told.complete) == ((W3,), True)
    assert [report.workspace_id for report in told.reports] == [W1]
    assert facility.scheduler.stopped == []


# --- results, and what is forgotten


async def test_results_are_kept_until_acknowledged(facility: Facility, agent: Agent) -> None:
    heard: list[str] = []
    unsubscribe = agent.orders.on_settled(lambda row: heard.append(row.order_id))
    for name in (W1, W2, W3):
        await agent.take(facility.order(name, LAUNCH))
        facility.now += 1
    assert heard == [W1, W2, W3]
    unsubscribe()
    first = await agent.orders.waiting(None, 2)
    rest = await agent.orders.waiting(first[-1], 2)
    assert [r.order_id for r in (*first, *rest)] == [W1, W2, W3]
    await agent.orders.acknowledge([W1, W3, "unknown"])
    assert [r.order_id for r in await agent.orders.waiting(None, 5)] == [W2]
    counts = await agent.orders.counts()
    assert (counts.accepted, counts.unacknowledged) == (0, 1)


async def test_an_acknowledgement_that_is_lost_changes_nothing(facility: Facility, agent: Agent) -> None:
    asked = facility.order(W1, LAUNCH)
    await agent.take(asked)
    dying = await reborn(facility, agent, Moment.BEFORE_ACKNOWLEDGED)
    with pytest.raises(Killed):
        await dying.orders.acknowledge([W1])
    await dying.die()
    agent = await facility.agent()
    assert [r.order_id for r in await agent.orders.waiting(None, 5)] == [W1]


async def test_an_order_is_a_tombstone_for_a_week_and_then_forgotten(
    facility: Facility, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders_module, "FORGET_AT_ONCE", 1)
    asked = facility.order(W1, LAUNCH)
    for order in (asked, facility.order("s", Stop(W2), expires_in=None), facility.order(W3, LAUNCH)):
        await agent.take(order)
    await agent.orders.acknowledge([W1, "s"])
    facility.now += LIMITS.order_memory - 1
    await agent.orders.forget()
    assert reported((await agent.take(asked))[0]).state is WorkspaceState.STARTING
    facility.now += 2
    dying = await reborn(facility, agent, Moment.DURING_GC)
    with pytest.raises(Killed):
        await dying.orders.forget()
    await dying.die()
    agent = await facility.agent()
    assert await agent.store.transact(lambda tx: tx.order(W1)) is not None
    await agent.orders.forget()
    assert await agent.store.transact(lambda tx: tx.order(W1)) is None
    assert await agent.row(W2) is None, "the tombstone of a launch that never came"
    assert await agent.store.transact(lambda tx: tx.order(W3)) is not None, "never acknowledged"
    assert refused((await agent.take(asked))[0]) in ("EXPIRED", "SIGN_IN_NEEDED")


async def test_the_floor_is_kept(facility: Facility, agent: Agent) -> None:
    assert await agent.orders.raise_floor(7) == 7
    await agent.die()
    agent = await facility.agent()
    assert await agent.orders.raise_floor(3) == 7


# --- the disk


async def test_a_full_disk_refuses_new_orders_keeps_old_ones_and_goes_on_later(
    facility: Facility, agent: Agent
) -> None:
    known = facility.order(W1, LAUNCH)
    first, _ = await agent.take(known)

    await agent.store.transact(lambda tx: tx._db.execute("pragma max_page_count=1"))  # type: ignore[attr-defined]
    numbers = iter(range(10, 400))

    async def take() -> str:
        facility.now += 0.1
        answer, _ = await agent.take(facility.order(f"s{next(numbers)}", Stop(W3), expires_in=None))
        return refused(answer) if answer is not None and answer.problem else ""

    reasons = [await take() for _ in range(200)]
    assert reasons[-1] == "BACKEND_UNAVAILABLE"
    assert agent.store.fault == "the disk is full"
    assert (await agent.take(known))[0] == first, "what is stored is answered"
    await agent.store.transact(lambda tx: tx._db.execute("pragma max_page_count=100000"))  # type: ignore[attr-defined]
    agent.watch()
    assert reported((await agent.take(facility.order(W2, LAUNCH)))[0]).state is WorkspaceState.STARTING
    assert agent.store.fault == ""

    async def none_open() -> bool:
        return (await agent.orders.counts()).accepted == 0

    await until(none_open)


async def test_what_runs_without_a_row_is_not_called_cancelled(facility: Facility) -> None:
    facility.scheduler.runs.add(W1)
    agent = await facility.agent()
    await agent.linked("ada")
    await agent.workspaces.probed()
    answer, _ = await agent.take(facility.order(S1, Stop(W1), expires_in=None))
    assert refused(answer) == "BACKEND_FAILED"
    assert await agent.row(W1) is None
    assert facility.scheduler.stopped == []
