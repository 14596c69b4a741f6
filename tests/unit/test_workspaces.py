"""Workspaces at the facility: what is checked in which order, what one order does, and what never ends one."""

from __future__ import annotations

import asyncio
import stat
import uuid
from dataclasses import replace
from typing import Any

import pytest

from facility_agent.core.mounting import safe_names
from facility_agent.core.offers import spoken
from facility_agent.testing.accounts_world import Person
from facility_agent.testing.memory_compute import MemoryCompute
from facility_agent.testing.patience import eventually
from shared.commands import Stop, Verb
from shared.facilities import Outcome
from shared.wire import proof
from shared.workspaces import StepName, WorkspaceState
from tests.facility_scene import ADA, FacilityScene, Held, launch_request, refused, reported
from tests.workspace_views import Slow

S = WorkspaceState


# --- launching


async def test_a_launch_takes_its_steps_and_runs(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id, answer = await at.launch(held, title="Mine", proposals=("P-1", "P-open"))
    first = reported(answer)
    assert (first.state, first.workspace_id) == (S.STARTING, workspace_id)
    assert [step.name for step in first.steps] == [StepName.ASK, StepName.ACCOUNT, StepName.DATA, StepName.QUEUE]
    await at.until(workspace_id, S.RUNNING)
    told = at.reports(workspace_id)
    assert [step.name for step in told[-1].steps] == list(StepName)
    assert [r.sequence for r in told] == list(range(2, 2 + len(told))), (
        "each change is told with a higher sequence"
    )
    assert told[-1].ends_in == 3600
    row = await at.row(workspace_id)
    assert (row.subject, row.immutable_id, row.proposals) == (ADA, "id-1", ("P-1", "P-open"))
    endpoint = await at.workspaces.endpoint(row)
    assert endpoint is not None
    assert stat.S_ISSOCK(endpoint.socket.stat().st_mode)
    assert at.machine.started == [workspace_id]


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"environment": "nothing"}, "NOT_FOUND"),
    ({"environment": "../jupyter"}, "NOT_FOUND"),
    ({"flavour": "large"}, "FLAVOUR_TOO_LARGE"),
    ({"flavour": "nothing"}, "FLAVOUR_TOO_LARGE"),
    ({"lifetime_s": 3601}, "FLAVOUR_TOO_LARGE"),
    ({"proposals": ("P-3",)}, "PROPOSAL_DENIED"),
    ({"proposals": ("P-1", "P-3")}, "PROPOSAL_DENIED"),
    ({"proposals": ("P-none",)}, "PROPOSAL_DENIED"),
    ({"proposals": ("../P-3",)}, "PROPOSAL_DENIED"),
]


@pytest.mark.parametrize(("changes", "reason"), REFUSALS, ids=str)
async def test_a_refused_launch_starts_and_stores_nothing(
    at: FacilityScene, changes: dict[str, Any], reason: str
) -> None:
    held = await at.ada()
    _, answer = await at.launch(held, **changes)
    refused(answer, reason)
    assert (at.machine.started, at.rows()["workspace"], at.told) == ([], [], [])


async def test_the_checks_come_in_this_order(at: FacilityScene) -> None:
    """What is not offered, then the account, then its proposals, then their data, then the quota."""
    held = await at.ada()
    for _ in range(2):
        await at.running(held)
    started = list(at.machine.started)
    at.people.remove("ada")
    everything = {"environment": "nothing", "flavour": "large", "proposals": ("P-3",)}
    refused((await at.launch(held, **everything))[1], "NOT_FOUND")
    refused((await at.launch(held, flavour="large", proposals=("P-3",)))[1], "FLAVOUR_TOO_LARGE")
    refused((await at.launch(held, proposals=("P-3",)))[1], "ACCOUNT_NOT_LINKED")
    at.people.put(Person(proposals=("P-1", "P-nowhere")))
    refused((await at.launch(held, proposals=("P-3",)))[1], "PROPOSAL_DENIED")
    refused((await at.launch(held, proposals=("P-nowhere",)))[1], "NOT_FOUND")
    refused((await at.launch(held))[1], "QUOTA_EXCEEDED")
    assert at.machine.started == started


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"uid": 0}, "IDENTITY_REFUSED"), ({"uid": None}, "IDENTITY_REFUSED"), ({"groups": (0,)}, "IDENTITY_REFUSED"),
     ({"enabled": False}, "ACCOUNT_NOT_LINKED"), ({"immutable_id": "id-9"}, "IDENTITY_REFUSED")],
    ids=str,
)  # fmt: skip
async def test_an_account_that_changed_starts_nothing(
    at: FacilityScene, change: dict[str, Any], reason: str
) -> None:
    held = await at.ada()
    at.people.put(replace(Person(), **change))
    refused((await at.launch(held))[1], reason)
    refused(await at.search(held), reason)
    assert at.machine.started == []


async def test_an_outage_of_the_directory_starts_nothing(at: FacilityScene) -> None:
    held = await at.ada()
    at.people.down = True
    answer = (await at.launch(held))[1]
    refused(answer, "BACKEND_UNAVAILABLE")
    assert answer.problem is not None
    assert answer.problem.retryable
    assert at.machine.started == []


async def test_the_quota_counts_what_lives_of_an_account(at: FacilityScene) -> None:
    held, ben = await at.ada(), await at.ben()
    first, _ = await at.running(held), await at.running(held)
    answer = (await at.launch(held))[1]
    refused(answer, "QUOTA_EXCEEDED")
    assert answer.problem is not None
    assert answer.problem.metadata == {"limit": "2"}
    await at.running(ben, proposals=("P-3",))
    await at.ask(held, Verb.STOP, Stop(first))
    await at.until(first, S.ENDED)
    await at.running(held)


async def test_launches_at_once_do_not_pass_the_quota(at: FacilityScene) -> None:
    held = await at.ada()
    answers = [answer for _, answer in await asyncio.gather(*(at.launch(held) for _ in range(6)))]
    assert sum(a.outcome is Outcome.OK for a in answers) == 2
    await eventually(lambda: _is(len(at.machine.started) == 2), "two have started")
    assert len(at.rows()["workspace"]) == 2


async def _is(value: bool) -> bool:
    return value


async def test_a_backend_that_refuses_says_why(at: FacilityScene) -> None:
    held = await at.ada()
    at.machine.slots = 0
    workspace_id, answer = await at.launch(held)
    assert reported(answer).state is S.STARTING
    await at.until(workspace_id, S.FAILED)
    last = at.reports(workspace_id)[-1]
    assert (last.reason, last.message) == (
        "QUOTA_EXCEEDED",
        "The facility is full at the moment; try again later.",
    )


async def test_a_program_that_fails_says_why(at: FacilityScene) -> None:
    workspace_id, _ = await at.launch(await at.ada(), environment="broken")
    await at.until(workspace_id, S.FAILED)
    assert at.reports(workspace_id)[-1].reason == "EXITED"


class Faulty(MemoryCompute):
    async def start(self, spec: Any, account: Any) -> str:
        raise RuntimeError("a fault with /a/local/path in it")


async def test_an_adapters_own_fault_tells_nothing_of_itself(
    at: FacilityScene, caplog: pytest.LogCaptureFixture
) -> None:
    held = await at.ada()
    at.seen_by(Faulty(at.machine))
    workspace_id, _ = await at.launch(held)
    await at.until(workspace_id, S.FAILED)
    last = at.reports(workspace_id)[-1]
    assert (last.reason, last.message) == ("BACKEND_FAILED", "The facility could not start it.")
    assert "/a/local/path" in caplog.text, "the operator sees it"


# --- the same order again


async def order(at: FacilityScene, held: Held, **changes: Any) -> tuple[str, bytes, bytes]:
    workspace_id = str(uuid.uuid4())
    body = at.body(Verb.LAUNCH, launch_request(**changes), command_id=workspace_id)
    return workspace_id, body, proof.mac(held.secret, body)


async def test_the_same_order_again_is_answered_from_the_store(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id, body, mac = await order(at, held)
    first = await at.send(body, held.grant_id, mac)
    await at.until(workspace_id, S.RUNNING)
    before = at.rows()
    for wait in (0, 61, 86_400 * 8):  # at once, expired, and long after the grant has ended
        at.now += wait
        assert await at.send(body, held.grant_id, mac) == first
    assert at.rows() == before
    await at.doorkeeper.signed_out(ADA.issuer, ADA.sub, "sid-1")
    assert await at.send(body, held.grant_id, mac) == first
    assert at.machine.started == [workspace_id]


async def test_an_order_many_times_at_once_has_one_effect(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id, body, mac = await order(at, held)
    answers = await asyncio.gather(*(at.send(body, held.grant_id, mac) for _ in range(8)))
    assert {reported(a).workspace_id for a in answers} == {workspace_id}
    await at.until(workspace_id, S.RUNNING)
    assert at.machine.started == [workspace_id]


async def test_a_stored_order_is_not_answered_to_anybody_else(at: FacilityScene) -> None:
    held, ben = await at.ada(), await at.ben()
    workspace_id, body, mac = await order(at, held)
    await at.send(body, held.grant_id, mac)
    await at.until(workspace_id, S.RUNNING)
    before = at.rows()
    refused(await at.send(body, held.grant_id, bytes(32)), "CONFLICT")
    refused(await at.send(body, ben.grant_id, mac), "CONFLICT")
    refused(await at.send(body), "CONFLICT")
    refused(await at.signed(ben, body), "CONFLICT")
    assert at.rows() == before
    assert await at.workspaces.known(workspace_id) is not None


async def test_the_same_id_for_something_else_is_a_conflict_also_when_forgotten(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id = await at.running(held)
    for _ in range(2):
        refused((await at.launch(held, workspace_id, title="Another"))[1], "CONFLICT")
        at.now += 700
        await at.held()  # sweeps the used ids
    row = await at.row(workspace_id)
    assert (row.title, row.state) == ("Mine", S.RUNNING)
    await at.ask(held, Verb.STOP, Stop(workspace_id))
    await at.until(workspace_id, S.ENDED)
    refused((await at.launch(held, workspace_id))[1], "CONFLICT")
    assert at.machine.started == [workspace_id]


@pytest.mark.parametrize("linked_again", [False, True])
async def test_unlinking_while_a_launch_is_judged_starts_nothing(at: FacilityScene, linked_again: bool) -> None:
    held = await at.ada()
    locate = at.shelf.locate

    async def unlinking(proposal: str) -> Any:
        await at.unlink(ADA)
        if linked_again:
            await at.link()
        return await locate(proposal)

    at.shelf.locate = unlinking  # type: ignore[method-assign]
    refused((await at.launch(held))[1], "ACCOUNT_NOT_LINKED")
    assert (at.machine.started, at.rows()["workspace"]) == ([], [])


# --- stopping


async def test_only_the_owner_stops_a_workspace(at: FacilityScene) -> None:
    held, ben = await at.ada(), await at.ben()
    workspace_id = await at.running(held)
    before = at.rows()["workspace"]
    refused(await at.ask(ben, Verb.STOP, Stop(workspace_id)), "NOT_FOUND")
    assert (at.rows()["workspace"], at.machine.running(workspace_id)) == (before, 1)
    assert reported(await at.ask(held, Verb.STOP, Stop(workspace_id))).state is S.STOPPING
    await at.until(workspace_id, S.ENDED)
    assert at.machine.running(workspace_id) == 0
    last = at.reports(workspace_id)[-1]
    assert (last.state, last.reason, last.message, last.ends_in) == (S.ENDED, "", "", None)
    assert reported(await at.ask(held, Verb.STOP, Stop(workspace_id))).state is S.ENDED
    assert at.reports(workspace_id)[-1] == last


async def test_a_stop_during_the_start_leaves_nothing(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id, _ = await at.launch(held)
    await at.ask(held, Verb.STOP, Stop(workspace_id))
    await at.until(workspace_id, S.ENDED)
    assert at.machine.running(workspace_id) == 0


async def test_a_stop_that_the_backend_refuses_is_tried_again(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id = await at.running(held)
    at.machine.down = True
    await at.ask(held, Verb.STOP, Stop(workspace_id))
    await at.workspaces.look()
    assert (await at.row(workspace_id)).state is S.STOPPING
    at.machine.down = False
    await at.until(workspace_id, S.ENDED)
    assert at.machine.running(workspace_id) == 0


async def test_a_slow_stop_holds_up_nobody_else(at: FacilityScene) -> None:
    held, ben = await at.ada(), await at.ben()
    first = await at.running(held)
    slow = at.seen_by(Slow(at.machine))
    slow.go = asyncio.Event()
    at.now += 3601  # its lifetime is over
    await at.workspaces.look()
    second, _ = await at.launch(ben, proposals=("P-3",))
    await at.until(second, S.RUNNING)
    assert (await at.row(first)).state is S.RUNNING
    slow.go.set()
    await at.until(first, S.ENDED)
    assert at.reports(first)[-1].reason == "LIFETIME"


# --- words


@pytest.mark.parametrize(
    ("proposals", "names"),
    [(["2026-1"], ["2026-1"]), (["a/b", "a b", "a_b"], ["a_b", "a_b-2", "a_b-3"]), (["..", "."], ["proposal", "proposal-2"]),
     (["a_b", "a_b-2", "a/b"], ["a_b", "a_b-2", "a_b-3"]), (["../../etc"], ["_.._etc"]), ([".ssh"], ["ssh"]), ([], [])],
)  # fmt: skip
def test_no_two_proposals_share_a_folder(proposals: list[str], names: list[str]) -> None:
    assert safe_names(proposals) == names


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(60, "1 minute"), (1800, "30 minutes"), (3600, "1 hour"), (5400, "90 minutes"), (28_800, "8 hours"),
     (86_400, "1 day"), (90_000, "25 hours"), (61, "61 seconds")],
)  # fmt: skip
def test_durations_are_said_exactly(seconds: int, words: str) -> None:
    assert spoken(seconds) == words


async def test_a_scheduler_that_is_away_at_the_start_delays_it_and_it_starts_once(at: FacilityScene) -> None:
    held = await at.ada()
    at.machine.down = True
    workspace_id, _ = await at.launch(held)

    async def tried() -> bool:
        return not at.workspaces._runs._starting

    await eventually(tried, "the first start has given up")
    assert ((await at.row(workspace_id)).state, at.machine.started) == (S.STARTING, [])
    at.machine.down = False
    await at.until(workspace_id, S.RUNNING)
    assert at.machine.started == [workspace_id]
