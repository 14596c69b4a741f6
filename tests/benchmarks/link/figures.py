"""The figures of the link, each beside its floor, in rounds that take turns."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.benchmarks import echo
from tests.benchmarks.link.helper import helper
from tests.benchmarks.link.scene import Scene, centre_for, floor, running
from tests.benchmarks.measure import Figure, cpu_of, median, percentile
from tests.certificates import self_signed
from tests.components import path_of
from tests.services import Postgres, _as_somebody, running_postgres
from tests.waiting import until

ROUNDS, EACH, WARM = 5, 40, 20
WRITERS, AGENTS, SECONDS = 32, 20, 5.0
IDLE = 150
D = "gRPC echo + 4 commits"


def run() -> list[Figure]:
    """All of them."""
    with running_postgres(fsync=True) as server:
        figures = _round_trip("PostgreSQL", server.database("trips"))
        figures += _sustained(server)
    return [*figures, *_round_trip("SQLite", ""), *_envelopes(), *_idle(), *_stalled()]


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pl-", dir="/tmp") as name:  # short, for the sake of Unix sockets
        yield Path(name)


def _round_trip(where: str, database: str) -> list[Figure]:
    """From the launch that a person asks for to its settled result, one at a time."""
    ours: list[float] = []
    bare: list[float] = []
    with _folder() as folder, running(folder, database, (1,)) as scene, floor(folder, database) as below:
        (slug,) = scene.facilities
        scene.centre.tell("one", slug=slug, count=WARM)
        for _ in range(ROUNDS):
            bare += below.tell("measure", count=EACH)
            ours += scene.centre.tell("one", slug=slug, count=EACH)
    base = 1000 * percentile(bare, 0.5)
    note = f"the floor's own p99 is {1000 * percentile(bare, 0.99):.3g} ms"
    figures = []
    for name, share, most in (("p50", 0.5, 1.3), ("p99", 0.99, 4.0)):
        value = 1000 * percentile(ours, share)
        goal, met = f"<= {most:g}x p50 of it", value <= most * base
        figures.append(Figure(f"order on {where}, {name}", value, base, "ms", D, goal, met, note))
    return figures


def _sustained(server: Postgres) -> list[Figure]:
    """Launches and stops by many at once, beside pgbench's rate of inserting one row."""
    ours, bare = [], []
    with _folder() as folder, running(folder, server.database("orders"), (AGENTS,)) as scene:
        _sustain(scene, 2.0)
        database = server.database("bench")
        for _ in range(3):
            bare.append(_pgbench(server, database))
            ours.append(_sustain(scene, SECONDS))
    rate, cpu, agents = (median([round_[n] for round_ in ours]) for n in range(3))
    note = f"CPU per order: centre {cpu:.2f} ms, agents {agents:.2f} ms"
    base, goal = median(bare), ">= 25 % and >= 500/s"
    met = rate >= 0.25 * base and rate >= 500
    return [Figure("durable orders a second", rate, base, "/s", "pgbench, one INSERT", goal, met, note)]


def _sustain(scene: Scene, seconds: float) -> tuple[float, float, float]:
    """(orders a second, milliseconds of CPU per order at the centre, and at the agents)."""
    before = cpu_of(scene.agents[0].pid)
    done = scene.centre.tell("sustain", writers=WRITERS, seconds=seconds, facilities=scene.facilities)
    count = len(done["took"])
    return done["rate"], 1000 * done["cpu"], 1000 * (cpu_of(scene.agents[0].pid) - before) / count


def _pgbench(server: Postgres, database: str) -> float:
    """Transactions a second of as many clients as there are writers."""
    programs, script = (
        Path(path_of("postgresql")),
        Path(tempfile.mkdtemp(prefix="pgb-", dir="/tmp")) / "insert.sql",
    )
    script.write_text("insert into one values (1, repeat('x', 300));\n")
    script.parent.chmod(0o755)
    subprocess.run(
        [
            programs / "psql",
            database,
            "-qXc",
            "set client_min_messages = error",
            "-c",
            "drop table if exists one; create table one (n int, t text)",
        ],
        check=True,
    )
    command = [programs / "pgbench", "-n", "-f", script, "-c", str(WRITERS), "-j", "2", "-T", str(int(SECONDS)), database]  # fmt: skip
    said = subprocess.run([*_as_somebody(), *command], check=True, capture_output=True, text=True, cwd="/").stdout
    found = re.search(r"tps = ([0-9.]+)", said)
    assert found, said
    return float(found[1])


def _envelopes() -> list[Figure]:
    """CPU of either side per envelope, with as many queries under way as the agents take."""
    centre, agents, bare = [], [], []
    with _folder() as folder, running(folder, "", (4,), quiet=True) as scene, echo.floor(4, 100) as below:
        for turn in range(ROUNDS):
            _, cpu = below.measure(500, 16)
            before = cpu_of(scene.agents[0].pid)
            done = scene.centre.tell("asks", facilities=scene.facilities, seconds=2.0, at_once=64)
            count = 2 * len(done["took"])  # a command and its result
            if turn:
                bare.append(1000 * cpu / (2 * 4))
                centre.append(1e6 * done["cpu"] / count)
                agents.append(1e6 * (cpu_of(scene.agents[0].pid) - before) / count)
    return [
        Figure(
            f"CPU per envelope, {side}", median(values), median(bare), "µs", "bare gRPC message", "<= 60 µs",
            median(values) <= 60, "from the asking in the process to the answer as a value",
        )
        for side, values in (("centre", centre), ("agent", agents))
    ]  # fmt: skip


def _idle() -> list[Figure]:
    """Memory of a centre's process per connected agent, beside that of a server per stream."""
    with _folder() as folder:
        self_signed(folder / "hub")
        with helper("quiet", "server", folder) as bare:
            before = _memory(bare.pid)
            with helper("quiet", "streams", folder, bare.tell("port"), IDLE):
                until(lambda: bare.tell("streams") == IDLE, "all streams are up", 60)
                base = (_memory(bare.pid) - before) / IDLE
        with centre_for(folder, "", IDLE) as (centre, hub, slugs):
            before = _memory(centre.pid)
            with helper("quiet", "agents", folder, hub.replace("127.0.0.1", "localhost"), *slugs):
                until(lambda: len(centre.tell("online")) == IDLE, "all agents are online", 60)
                value = (_memory(centre.pid) - before) / IDLE
    note = f"above it: {value - base:.0f} KiB"
    return [
        Figure(
            "memory per idle agent", value, base, "KiB", "bare TLS stream", "+ <= 60 KiB", value - base <= 60, note
        )
    ]


def _memory(pid: int) -> float:
    return float(psutil.Process(pid).memory_full_info().uss) / 1024


def _stalled() -> list[Figure]:
    """p99 of the others' queries while one agent's process is stopped with queries under way, beside without."""
    ours, bare = [], []
    with _folder() as folder, running(folder, "", (4, 1), quiet=True) as scene:
        *others, last = scene.facilities
        scene.centre.tell("asks", facilities=others, seconds=2.0, at_once=2)
        for _ in range(ROUNDS):
            calm = scene.centre.tell("asks", facilities=others, seconds=2.0, at_once=2)
            os.kill(scene.agents[1].pid, signal.SIGSTOP)
            try:
                how = {"facilities": others, "seconds": 2.0, "at_once": 2, "stalled": [last]}
                stalled = scene.centre.tell("asks", **how)
            finally:
                os.kill(scene.agents[1].pid, signal.SIGCONT)
            bare.append(1000 * percentile(calm["took"], 0.99))
            ours.append(1000 * percentile(stalled["took"], 0.99))
    ratio = median([a / b for a, b in zip(ours, bare, strict=True)])
    note = f"median of {ROUNDS} pairs: {ratio:.2f}"
    value, base = median(ours), median(bare)
    return [Figure("p99 beside a stalled agent", value, base, "ms", "without one", "<= 1.2x", ratio <= 1.2, note)]
