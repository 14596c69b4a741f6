"""One hub, one process of agents: CPU of an envelope at saturation, and what one stalled agent does to the others.

`python -m tests.benchmarks.link_stream PORT FIRST FOLDER COUNT` is the process of agents; the first dials port FIRST.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from central_portal.link.hub import Hub, HubSettings
from facility_agent.link.client import AgentLink, LinkSettings
from facility_agent.link.keys import load_or_create_key
from shared import resolver
from shared.commands import Verb
from shared.errors import ParasolError
from tests.benchmarks.measure import Figure, cpu_of, median, percentile
from tests.certificates import self_signed
from tests.chaos.proxy import FaultProxy
from tests.components import ROOT
from tests.link_parts import Enrolment, Recorder, SmallCore, search
from tests.waiting import free_port

AGENTS = 10
AT_ONCE = 64
SECONDS = 4.0
PAIRS = 5
GOAL_US = 60.0


def name_of(number: int) -> str:
    """The slug of an agent."""
    return f"s{number}"


class Scene:
    """A hub in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.enrolment, self.events = folder, Enrolment(), Recorder()
        certificate, key = self_signed(folder / "hub")
        for number in range(AGENTS):
            self.enrolment.keys[name_of(number)] = load_or_create_key(folder / "agents.key")
        self.port = free_port()
        settings = HubSettings(f"127.0.0.1:{self.port}", "hub", certificate=certificate, key=key)
        self.hub = Hub(settings, self.enrolment, self.events, self.events.queue)
        self.agents: Any = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FaultProxy]:
        """With every agent connected; the first one through a proxy."""
        proxy = FaultProxy(self.port)
        ports = (str(self.port), str(proxy.port))
        command = (sys.executable, "-m", "tests.benchmarks.link_stream", *ports, str(self.folder), str(AGENTS))
        self.agents = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.PIPE)
        await self.hub.start()  # after the other process: gRPC does not like to be forked
        try:
            assert await self.agents.stdout.readline() == b"up\n"
            yield proxy
        finally:
            self.agents.kill()
            await self.agents.wait()
            proxy.close()
            await self.hub.stop()

    async def ask(self, number: int, within: float = 5.0) -> float:
        """Seconds of one query."""
        begun = time.perf_counter()
        name = name_of(number)
        await self.hub.links.ask(name, Verb.SEARCH, search("x", name), within)
        return time.perf_counter() - begun


async def _envelopes(scene: Scene) -> tuple[float, float]:
    """CPU microseconds of an envelope at the hub's side and at the agent's."""
    done, end = 0, 0.0

    async def worker() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await scene.ask(1)
            done += 1

    async def phase(seconds: float) -> None:
        nonlocal done, end
        done, end = 0, time.perf_counter() + seconds
        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))

    await phase(1.0)
    ours, theirs = _cpu(), cpu_of(scene.agents.pid)
    await phase(SECONDS)
    return tuple(1e6 * used / (2 * done) for used in (_cpu() - ours, cpu_of(scene.agents.pid) - theirs))  # type: ignore[return-value]


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _others(scene: Scene, seconds: float) -> float:
    """p99 of queries to the others meanwhile."""
    took: list[float] = []

    async def worker(number: int) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            took.append(await scene.ask(number))
            await asyncio.sleep(0.01)

    await asyncio.gather(*(worker(number) for number in range(1, AGENTS)))
    return percentile(took, 0.99)


async def _pestering(scene: Scene) -> None:
    """A hundred queries a second to the first agent, answered or not."""

    async def pester() -> None:
        with suppress(ParasolError):
            await scene.ask(0, 1.0)

    async with asyncio.TaskGroup() as pests:
        while True:
            pests.create_task(pester())
            await asyncio.sleep(0.01)


async def _pairs(scene: Scene, proxy: FaultProxy) -> tuple[list[float], list[float]]:
    quiet, stalled = [], []
    for _ in range(PAIRS):
        quiet.append(await _beside(scene, 2.0))
        proxy.change(lambda p: setattr(p.down, "stall", True))
        stalled.append(await _beside(scene, 2.0))
        proxy.heal()
        await asyncio.sleep(0.5)
    return quiet, stalled


async def _beside(scene: Scene, seconds: float) -> float:
    """The others while the first agent is pestered, whether it answers or not."""
    pests = asyncio.create_task(_pestering(scene))
    try:
        return await _others(scene, seconds)
    finally:
        pests.cancel()
        await asyncio.gather(pests, return_exceptions=True)


async def _measure(folder: Path) -> list[Figure]:
    scene = Scene(folder)
    async with scene.running() as proxy:
        sides = await _envelopes(scene)
        quiet, stalled = await _pairs(scene, proxy)
    figures = [
        Figure(
            f"CPU of an envelope, {side}", used, GOAL_US, "us", "the goal", f"<= {GOAL_US:g} us", used <= GOAL_US
        )
        for side, used in zip(("hub", "agent"), sides, strict=True)
    ]
    ratio = median([b / a for a, b in zip(quiet, stalled, strict=True)])
    value, floor = 1000 * median(stalled), 1000 * median(quiet)
    note = f"median of {PAIRS} pairs: {ratio:.2f} x"
    figures.append(
        Figure(
            "p99 beside a stalled agent", value, floor, "ms", "beside a good one", "<= 1.2 x", ratio <= 1.2, note
        )
    )
    return figures


def run() -> list[Figure]:
    """These figures."""
    import uvloop

    logging.getLogger("central_portal").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="pbs-") as name:
        return uvloop.run(_measure(Path(name)))


async def _agents(port: int, first: int, folder: Path, count: int) -> None:
    up = [asyncio.Event() for _ in range(count)]
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            core = SmallCore(name_of(number))
            settings = LinkSettings(
                core.facility_id, f"localhost:{port if number else first}", "hub", folder / "agents.key", "store", 1,
                ca_file=folder / "hub.pem",
            )  # fmt: skip
            link = AgentLink(settings, core, desk=core)
            link.on_change = lambda connected, event=up[number]: event.set() if connected else None  # type: ignore[misc]
            tasks.create_task(link.run())
        await asyncio.gather(*(event.wait() for event in up))
        print("up", flush=True)


def main() -> None:
    """Entry point of the agents."""
    import uvloop

    resolver.install()
    logging.disable()
    uvloop.run(_agents(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])))


if __name__ == "__main__":
    main()
