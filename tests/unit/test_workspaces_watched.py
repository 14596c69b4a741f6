"""What the agent makes of what it sees: not knowing is no end, an end is believed once, and nothing is lost by a kill -9."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from facility_agent.core.rows import Rows
from facility_agent.core.watching import Watcher
from facility_agent.ports.compute import Observation, RunState, StartSpec
from facility_agent.ports.directory import Account
from facility_agent.testing.memory_compute import Machine, MemoryCompute
from shared.commands import Stop, Verb
from shared.errors import BackendError, BackendUnavailable
from shared.facilities import Outcome
from shared.workspaces import StepName, WorkspaceState
from tests.facility_scene import FacilityScene
from tests.workspace_views import Late, glasses, settled

S = WorkspaceState


# --- not knowing


async def test_unknown_is_never_an_end(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id = await at.running(held)
    at.machine.down = True
    for _ in range(10):
        at.now += 300
        await at.workspaces.look()
    assert (await at.row(workspace_id)).state is S.UNKNOWN
    at.machine.down = False
    await at.until(workspace_id, S.RUNNING)
    assert at.machine.started == [workspace_id]


@pytest.mark.parametrize("state", [RunState.UNKNOWN, RunState.QUEUED])
async def test_what_may_still_start_is_not_given_up(at: FacilityScene, state: RunState) -> None:
    held = await at.ada()
    workspace_id, _ = await at.launch(held)
    await settled(at)
    glasses(at, workspace_id, state)
    for _ in range(5):
        at.now += 700
        await at.workspaces.look()
        await settled(at)
        assert (await at.row(workspace_id)).state is S.STARTING
    glasses(at, workspace_id)
    await at.until(workspace_id, S.RUNNING)


async def test_a_place_in_the_queue_is_told_and_its_time_does_not_count(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id, _ = await at.launch(held)
    await settled(at)
    for place in ("Number 2.", "Number 1.", "Number 1."):
        glasses(at, workspace_id, RunState.QUEUED, "", place)
        at.now += 3000
        await at.workspaces.look()
        await settled(at)
        steps = {step.name: step.detail for step in at.reports(workspace_id)[-1].steps}
        assert steps[StepName.QUEUE] == place
    told = len(at.reports(workspace_id))
    glasses(at, workspace_id, RunState.STARTING)
    for _ in range(2):
        await at.workspaces.look()
        await settled(at)
        assert (await at.row(workspace_id)).state is S.STARTING
        at.now += 599
    assert len(at.reports(workspace_id)) == told + 1, "that it left the queue is told, once"
    assert {step.detail for step in at.reports(workspace_id)[-1].steps} == {""}
    at.now += 2
    await at.until(workspace_id, S.FAILED)
    assert at.reports(workspace_id)[-1].reason == "TIMED_OUT"


async def test_what_does_not_start_within_ten_minutes_has_failed_and_says_so(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id, _ = await at.launch(held)
    await settled(at)
    glasses(at, workspace_id, RunState.STARTING)
    at.now += 600
    await at.workspaces.look()
    await settled(at)
    assert (await at.row(workspace_id)).state is S.STARTING
    at.now += 1
    await at.until(workspace_id, S.FAILED)
    assert at.reports(workspace_id)[-1].reason == "TIMED_OUT"
    assert at.machine.running(workspace_id) == 0


async def test_an_end_that_we_brought_about_is_not_taken_for_its_own(at: FacilityScene) -> None:
    """The backend has ended it, and the stop has not returned yet."""
    held = await at.ada()
    workspace_id, _ = await at.launch(held)
    await settled(at)
    late = at.seen_by(Late(at.machine))
    late.shown, late.go, late.ended = (
        {workspace_id: Observation(RunState.STARTING)},
        asyncio.Event(),
        asyncio.Event(),
    )
    at.now += 601
    await at.workspaces.look()
    await late.ended.wait()
    late.shown = {}
    for _ in range(3):
        await at.workspaces.look()
    late.go.set()
    await at.until(workspace_id, S.FAILED)
    assert at.reports(workspace_id)[-1].reason == "TIMED_OUT"


async def test_an_end_at_its_lifetime_is_no_failure_however_the_program_took_it(at: FacilityScene) -> None:
    """As after an agent that died between stopping it and writing that down."""
    workspace_id = await at.running(await at.ada())
    glasses(at, workspace_id, RunState.GONE, "", "", -15)
    at.now += 3600
    await at.workspaces.look()
    row = await at.row(workspace_id)
    assert (row.state, row.reason) == (S.ENDED, "LIFETIME")


async def test_nothing_follows_an_end(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id = await at.running(held)
    await at.ask(held, Verb.STOP, Stop(workspace_id))
    await at.until(workspace_id, S.ENDED)
    before, told = await at.row(workspace_id), list(at.told)
    rows = at.workspaces._rows
    await rows.end(workspace_id, S.FAILED, "LATE", "Too late.")
    await rows.step(workspace_id, StepName.READY)
    assert await rows.change(workspace_id, lambda row: replace(row, state=S.RUNNING)) is None
    assert (await at.row(workspace_id), at.told) == (before, told)


async def test_gone_is_believed_at_the_second_look(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id = await at.running(held)
    for _ in range(3):  # a glimpse of nothing between two of something is no end
        glasses(at, workspace_id, RunState.GONE)
        await at.workspaces.look()
        glasses(at, workspace_id)
        await at.workspaces.look()
        assert (await at.row(workspace_id)).state is S.RUNNING
    glasses(at, workspace_id, RunState.GONE)
    await at.workspaces.look()
    assert (await at.row(workspace_id)).state is S.RUNNING
    await at.workspaces.look()
    assert (await at.row(workspace_id)).state is S.FAILED
    assert at.reports(workspace_id)[-1].message == "It ended by itself."


@pytest.mark.parametrize(
    ("observed", "state", "reason"),
    [((RunState.GONE, "", "", 0), S.ENDED, ""), ((RunState.GONE, "", "", 1), S.FAILED, "BACKEND_FAILED"),
     ((RunState.GONE, "KILLED", "It was ended from outside.", -9), S.FAILED, "KILLED"),
     ((RunState.GONE, "NODE_LOST", "The machine ended it.", None), S.FAILED, "NODE_LOST")],
)  # fmt: skip
async def test_an_end_that_is_known_is_believed_at_once(
    at: FacilityScene, observed: tuple[Any, ...], state: WorkspaceState, reason: str
) -> None:
    workspace_id = await at.running(await at.ada())
    glasses(at, workspace_id, *observed)
    await at.workspaces.look()
    row = await at.row(workspace_id)
    assert (row.state, row.reason) == (state, reason)
    glasses(at, workspace_id)
    before = await at.row(workspace_id)
    await at.workspaces.look()
    assert await at.row(workspace_id) == before, "nothing follows an end"


async def test_an_outage_of_the_backend_changes_nothing(at: FacilityScene) -> None:
    workspace_id = await at.running(await at.ada())
    before = at.rows()

    class Down(MemoryCompute):
        async def inspect(self, handles: Sequence[str]) -> Mapping[str, Observation]:
            raise BackendError

    at.seen_by(Down(at.machine))
    watch = asyncio.create_task(at.workspaces.watch())
    with pytest.raises(BackendError):
        await at.workspaces.look()
    await asyncio.wait([watch], timeout=0.05)
    assert not watch.done(), "the watch goes on"
    watch.cancel()
    await asyncio.wait([watch])
    assert at.rows() == before
    assert (await at.row(workspace_id)).state is S.RUNNING


@pytest.mark.parametrize("turns", range(6))
async def test_a_watch_that_is_stopped_just_as_it_is_woken_ends(at: FacilityScene, turns: int) -> None:
    """asyncio.wait_for swallows such a cancellation before Python 3.12; the agent then never stopped."""
    watcher = Watcher(Rows(at.store, lambda _: None, lambda: at.now), at.compute, lambda: at.now)
    watch = asyncio.create_task(watcher.watch())
    await asyncio.wait([watch], timeout=0.05)
    watcher.wake()
    for _ in range(turns):
        await asyncio.sleep(0)
    watch.cancel()
    await asyncio.wait([watch], timeout=0.5)
    try:
        assert watch.cancelled()
    finally:
        watch.cancel()
        await asyncio.wait([watch])


async def test_a_lifetime_is_kept(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id, _ = await at.launch(held, lifetime_s=600)
    await at.until(workspace_id, S.RUNNING)
    at.now += 599
    await at.workspaces.look()
    assert (await at.row(workspace_id)).state is S.RUNNING
    at.now += 1
    await at.until(workspace_id, S.ENDED)
    last = at.reports(workspace_id)[-1]
    assert (last.reason, at.machine.running(workspace_id)) == ("LIFETIME", 0)


# --- after a kill -9


async def test_what_runs_is_found_again(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id = await at.running(held)
    before = at.rows()
    await at.reopen()
    assert at.rows() == before
    await at.workspaces.look()
    assert at.rows() == before, "and nothing is told anew"
    (only,) = at.workspaces.inventory().reports
    assert (only.workspace_id, only.state) == (workspace_id, S.RUNNING)
    assert at.machine.started == [workspace_id]
    assert (await at.search(held)).outcome is Outcome.OK


async def without_handle(at: FacilityScene, workspace_id: str) -> None:
    """As if the agent had died between the start and writing it down."""
    row = await at.row(workspace_id)
    steps = json.dumps(json.loads(row.steps)[:4])
    lost = replace(row, handle="", state=S.STARTING, steps=steps, ends_at=None)
    await at.store.transact(lambda tx: tx.put_workspace(lost))


async def test_a_start_that_was_not_written_down_is_found_by_its_id(at: FacilityScene) -> None:
    workspace_id = await at.running(await at.ada())
    await without_handle(at, workspace_id)
    await at.reopen()
    await at.until(workspace_id, S.RUNNING)
    assert at.machine.started == [workspace_id]


class Noting(MemoryCompute):
    """Takes note of what it is to start and lists it, as a scheduler's adapter does; with `dies` nothing comes of it."""

    def __init__(self, machine: Machine, notes: set[str], *, dies: bool = False) -> None:
        super().__init__(machine)
        self.notes, self.dies = notes, dies

    async def start(self, spec: StartSpec, account: Account) -> str:
        self.notes.add(spec.workspace_id)
        if self.dies:
            raise BackendUnavailable
        return await super().start(spec, account)

    async def list_owned(self) -> Mapping[str, str]:
        return dict(zip(self.notes, self.notes, strict=True)) | dict(await super().list_owned())


@pytest.mark.parametrize("deaths", [1, 2, 3])
async def test_what_was_only_noted_is_started_however_often_the_agent_dies(at: FacilityScene, deaths: int) -> None:
    held = await at.ada()
    notes = set[str]()
    at.seen_by(Noting(at.machine, notes, dies=True))
    workspace_id, _ = await at.launch(held)
    await settled(at)
    assert notes == {workspace_id}
    for _ in range(deaths):
        await at.reopen()
        at.seen_by(Noting(at.machine, notes))
        await at.workspaces.probed()
        assert (await at.row(workspace_id)).handle == workspace_id
    assert at.machine.started == []
    await at.until(workspace_id, S.RUNNING)
    assert at.machine.started == [workspace_id]


async def test_it_is_not_given_up_while_nobody_can_be_asked(at: FacilityScene) -> None:
    workspace_id = await at.running(await at.ada())
    await without_handle(at, workspace_id)
    at.machine.down = True
    await at.reopen()
    for _ in range(3):
        with pytest.raises(BackendError):
            await at.workspaces.probed()
        with suppress(BackendError):
            await at.workspaces.look()
    assert (await at.row(workspace_id)).state is S.STARTING
    at.machine.down = False
    await at.until(workspace_id, S.RUNNING)


async def test_what_never_started_has_failed(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id = await at.running(held)
    await without_handle(at, workspace_id)
    at.machine.close()
    await at.reopen()
    await at.until(workspace_id, S.FAILED)
    assert (await at.row(workspace_id)).reason == "BACKEND_FAILED"
    assert at.machine.started == [workspace_id], "it is not started a second time"


async def test_a_stop_under_way_goes_on(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id = await at.running(held)
    at.machine.down = True
    await at.ask(held, Verb.STOP, Stop(workspace_id))
    await at.reopen()
    at.machine.down = False
    await at.until(workspace_id, S.ENDED)
    assert at.machine.running(workspace_id) == 0


async def test_what_ended_is_told_for_a_day(at: FacilityScene) -> None:
    held = await at.ada()
    workspace_id = await at.running(held)
    await at.ask(held, Verb.STOP, Stop(workspace_id))
    await at.until(workspace_id, S.ENDED)
    at.now += 86_399
    await at.workspaces.look()
    assert [r.workspace_id for r in at.workspaces.inventory().reports] == [workspace_id]
    at.now += 2
    await at.workspaces.look()
    assert at.workspaces.inventory().reports == ()
    await at.reopen()
    assert at.workspaces.inventory().reports == ()
    assert await at.workspaces.known(workspace_id) is not None, "its id is never given again"
