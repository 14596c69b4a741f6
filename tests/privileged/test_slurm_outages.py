"""A facility's whole core over a real Slurm: what an outage or a restart in the middle of launches does to workspaces. Nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from facility_agent.core.offers import Offer
from facility_agent.testing.accounts_world import Person
from facility_agent.testing.patience import eventually
from shared.workspaces import WorkspaceState
from tests import facility_scene
from tests.contracts.compute_worlds import SERVER
from tests.facility_scene import FacilityScene, Held, open_facility, reported
from tests.privileged.site import AGENT
from tests.privileged.slurm_world import PYTHON, SlurmWorld, slurm_world
from tests.slurm_site import ADA, rootly

pytestmark = [pytest.mark.needs("slurm"), pytest.mark.needs("root")]
S = WorkspaceState
OFFERED = facility_scene.offered
WITHIN_S = 120.0
"""A minute passes until what an agent noted and never submitted is believed not to be there, and it is begun again."""


def offered(name: str) -> Offer:
    """The same, with a program that the nodes have."""
    command = (PYTHON, "-S", "-c", SERVER, "{socket}")
    return Offer(
        OFFERED(name).environment, command, (("SECRET", "{secret}"),), (("Authorization", "token {secret}"),)
    )


@pytest.fixture
def world() -> Iterator[SlurmWorld]:
    with slurm_world() as world:
        yield world


@pytest.fixture
async def at(world: SlurmWorld, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FacilityScene]:
    """A facility on that cluster; ada may have many workspaces."""
    monkeypatch.setattr(facility_scene, "offered", offered)
    folder = Path(world.site.folder) / "facility"
    with rootly():
        folder.mkdir(mode=0o755)
        os.chown(folder, AGENT, AGENT)
    async with open_facility(folder) as scene:
        ada = world.account
        scene.people.put(Person(uid=ADA, gid=ADA, groups=ada.groups, home=str(ada.home)))
        scene.workspaces._most = 100
        scene.seen_by(world.backend)
        yield scene


class Watched:
    """The agent's own loop over its workspaces, while it lives."""

    def __init__(self, at: FacilityScene, world: SlurmWorld) -> None:
        self._at, self._world = at, world
        self._task = asyncio.create_task(at.workspaces.watch())

    async def end(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def killed(self) -> Watched:
        """The agent after a kill -9 in the midst of what it does."""
        await self.end()
        for task in self._at.workspaces._runs._starting.values():
            task.cancel()
        await self._at.reopen()
        self._at.workspaces._most = 100
        self._at.seen_by(self._world.reopened())
        return Watched(self._at, self._world)


async def launches(at: FacilityScene, held: Held, count: int) -> list[str]:
    """So many at once; each is admitted, whatever the scheduler does."""
    answers = await asyncio.gather(*(at.launch(held) for _ in range(count)))
    for _, answer in answers:
        assert reported(answer).state is S.STARTING
    return [workspace_id for workspace_id, _ in answers]


async def all_run_once(at: FacilityScene, world: SlurmWorld, names: list[str]) -> None:
    async def run() -> bool:
        return {(await at.row(name)).state for name in names} == {S.RUNNING}

    try:
        await eventually(run, "all of them run", WITHIN_S)
    except AssertionError:
        said = [(await at.row(name), world.jobs(name)) for name in names]
        nodes = world.slurm.run("scontrol", "show", "node").stdout
        raise AssertionError(f"not all of them run: {said}\n{nodes}") from None
    for name in names:
        assert world.jobs(name) == ["RUNNING|"], "never twice"
        assert world.running(name) == 1


@pytest.mark.timeout(300)
async def test_a_controller_that_is_down_during_launches_costs_none_and_doubles_none(
    at: FacilityScene, world: SlurmWorld
) -> None:
    held, watched = await at.ada(), Watched(at, world)
    before = await launches(at, held, 2)
    await all_run_once(at, world, before)
    world.slurm.stop("slurmctld")
    try:
        meanwhile = await launches(at, held, 2)

        async def unknown() -> bool:
            return {(await at.row(name)).state for name in before} == {S.UNKNOWN}

        await eventually(unknown, "what ran is shown as unknown", 60)
        assert {(await at.row(name)).state for name in meanwhile} == {S.STARTING}
        assert all(world.running(name) == 1 for name in before), "it goes on"
    finally:
        world.slurm.start_controller()
    await all_run_once(at, world, [*before, *meanwhile])
    await watched.end()


@pytest.mark.timeout(300)
async def test_an_agent_that_is_killed_during_launches_costs_none_and_doubles_none(
    at: FacilityScene, world: SlurmWorld
) -> None:
    held, watched = await at.ada(), Watched(at, world)
    names: list[str] = []
    for moment in (0.0, 0.05, 0.3):
        names += await launches(at, held, 2)
        with suppress(TimeoutError):
            async with asyncio.timeout(moment):
                await asyncio.Event().wait()
        watched = await watched.killed()
    await all_run_once(at, world, names)
    await watched.end()
