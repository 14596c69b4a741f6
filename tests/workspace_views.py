"""The machine of a facility's scene, seen and stopped in odd ways."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from facility_agent.ports.compute import Observation
from facility_agent.testing.memory_compute import MemoryCompute
from tests.facility_scene import FacilityScene


class Spectacles(MemoryCompute):
    """The machine, seen through glasses: what they show of a handle instead of the truth."""

    shown: Mapping[str, Observation] = {}

    async def inspect(self, handles: Sequence[str]) -> Mapping[str, Observation]:
        return {**await super().inspect(handles), **{h: o for h, o in self.shown.items() if h in handles}}


def glasses(at: FacilityScene, workspace_id: str, *what: Any) -> None:
    """From now on the agent sees this."""
    seen = at.seen_by(Spectacles(at.machine))
    seen.shown = {workspace_id: Observation(*what)} if what else {}


class Slow(Spectacles):
    """Stopping takes until it is let go."""

    go = asyncio.Event()

    async def stop(self, handle: str) -> None:
        await self.go.wait()
        await super().stop(handle)


class Late(Spectacles):
    """What it stops has ended at once; it says so when it is let go."""

    go, ended = asyncio.Event(), asyncio.Event()

    async def stop(self, handle: str) -> None:
        await super().stop(handle)
        self.ended.set()
        await self.go.wait()


async def settled(at: FacilityScene) -> None:
    """Every start and stop that was begun has come to its end."""
    while tasks := [*at.workspaces._runs._starting.values(), *at.workspaces._runs._stopping.values()]:
        await asyncio.wait(tasks)
