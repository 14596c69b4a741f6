"""The Slurm adapter, both ways, beside Slurm itself: start to ready, and one look at a thousand workspaces. As root alone."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

from facility_agent.adapters.compute.slurm import SlurmCompute
from facility_agent.adapters.compute.supervisor import write_json
from facility_agent.ports.compute import RunState
from tests.benchmarks.measure import Figure, median
from tests.components import missing
from tests.contracts.compute_worlds import SERVER
from tests.privileged.site import as_agent
from tests.privileged.slurm_world import PYTHON, SlurmWorld, slurm_world
from tests.slurm_site import ACCOUNT, ADA, shared_slurm
from tests.waiting import until

ROUNDS, MANY, LOOKS, LOOK_S = 6, 1000, 5, 0.05
POLL_S = 5.0
"""The adapter's default interval."""


def run() -> list[Figure]:
    """Of each way; none, and a sentence, where something is missing."""
    lacking = [what for what in map(missing, ("root", "slurm", "slurmrestd")) if what]
    if lacking:
        print(f"slurm: not measured, it needs {'; '.join(lacking)}")
        return []
    as_agent()
    figures: list[Figure] = []
    try:
        for way in ("commands", "rest"):
            with slurm_world(way=way) as world:
                figures.append(asyncio.run(_launch(world, way)))
        with slurm_world() as by_commands, slurm_world(way="rest") as by_rest:
            jobs = _held()
            for way, world in (("commands", by_commands), ("rest", by_rest)):
                figures.append(asyncio.run(_look(world, way, jobs)))
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
    return figures


def _by_hand(world: SlurmWorld) -> float:
    """Seconds from `sbatch` of the same program to its first answer."""
    place = world.slurm.home("ada") / f"s{uuid.uuid4().hex[:8]}"
    script = f"#!/bin/sh\nexec env SECRET=x {PYTHON} -S -c '{SERVER}' {place}\n"
    file = world.slurm.folder / "by-hand.sh"
    os.setresuid(0, 0, 0)
    file.write_text(script)
    as_agent()
    begun = time.perf_counter()
    words = [
        "--parsable",
        f"--account={ACCOUNT}",
        "--partition=main",
        "--mem=64M",
        "--chdir=/",
        "--output=/dev/null",
    ]
    job = world.slurm.run("sbatch", *words, str(file), uid=ADA).stdout.strip()
    assert job.isdigit()
    os.setresuid(0, 0, 65534)
    until(lambda: _answers(place), "it answers", 60)
    taken = time.perf_counter() - begun
    as_agent()
    world.slurm.run("scancel", job)
    return taken


def _answers(place: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(place))
        except OSError:
            return False
        return True


async def _launch(world: SlurmWorld, way: str) -> Figure:
    hand, ours = [], []
    for _ in range(ROUNDS):
        hand.append(await asyncio.to_thread(_by_hand, world))
        begun = time.perf_counter()
        handle = await world.backend.start(world.spec(), world.account)
        while (await world.backend.inspect([handle]))[handle].state is not RunState.RUNNING:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_S)
        ours.append(time.perf_counter() - begun)
        await world.backend.stop(handle)
    value, floor = median(ours) * 1000, median(hand) * 1000
    return Figure(
        f"Slurm by {way}: start to ready", value, floor, "ms", "sbatch of the same program", "≤ 250 ms more",
        value - floor <= 250, f"the adapter alone, looked at every {LOOK_S * 1000:.0f} ms", tuple(ours),
    )  # fmt: skip


def _held() -> dict[str, int]:
    """Workspace ids with a job each, which waits."""
    slurm = shared_slurm()
    ids = [str(uuid.uuid4()) for _ in range(MANY)]
    base = f"sbatch --parsable --hold --account={ACCOUNT} --partition=main --mem=1M --chdir=/ --output=/dev/null"
    loop = f"for id in $0 $@; do {base} --job-name=parasol-$id --wrap true; done"
    numbers: list[int] = []
    for begin in range(0, MANY, 250):
        done = slurm.run("sh", "-c", loop, *ids[begin : begin + 250], uid=ADA)
        numbers += map(int, done.stdout.split())
    assert len(numbers) == MANY
    return dict(zip(ids, numbers, strict=True))


async def _look(world: SlurmWorld, way: str, jobs: dict[str, int]) -> Figure:
    backend = world.adapter("many", poll_s=0)
    for name, job in jobs.items():
        known = {"uid": ADA, "username": "ada", "asked": time.time() - 3600, "headers": [], "job": job}
        write_json(world.site.agent / "many" / f"{name}.json", known)
    found = await backend.inspect(list(jobs))
    assert {each.state for each in found.values()} == {RunState.QUEUED}
    ours = [await _cpu(lambda: backend.inspect(list(jobs))) for _ in range(LOOKS)]
    floor = [await _cpu(lambda: _raw(world, backend, way, jobs)) for _ in range(LOOKS)]
    value, least = median(ours) / POLL_S * 100, median(floor) / POLL_S * 100
    floors = {"commands": "squeue for the same names", "rest": "the same list, fetched and parsed"}
    return Figure(
        f"Slurm by {way}: {MANY} workspaces, every {POLL_S:.0f} s", value, least, "% of a core", floors[way], "≤ 1 %",
        value <= 1, "one question of the scheduler; all of them wait", tuple(ours),
    )  # fmt: skip


async def _raw(world: SlurmWorld, backend: SlurmCompute, way: str, jobs: dict[str, int]) -> None:
    if way == "rest":
        token = world.site.ask("slurm_token")["ok"]["token"]
        json.loads(await asyncio.to_thread(world.slurm.ask_rest, "slurm/v0.0.38/jobs", "nobody", token))
        return
    names = ",".join(f"parasol-{name}" for name in jobs)
    form = "jobid:|,userid:|,name:|,state:|,exit_code:|,batchhost:|,starttime:|,partition:|,reason:|"
    words = ["squeue", "--noheader", "--states=all", f"--name={names}", f"--Format={form}"]
    process = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.DEVNULL, env={"SLURM_CONF": str(world.slurm.conf), "PATH": "/usr/bin"}
    )
    assert await process.wait() == 0


async def _cpu(do: Callable[[], Awaitable[object]]) -> float:
    """Seconds of CPU that this process and what it ran have used."""
    before = _used()
    await do()
    return _used() - before


def _used() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
