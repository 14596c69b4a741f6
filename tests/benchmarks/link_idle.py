"""Memory that an idle agent costs its hub, above what a bare stream costs a bare server."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack

import psutil

from tests.benchmarks.measure import Figure
from tests.chaos.measures import HERD, Herd, hub_of_many, listening
from tests.components import ROOT
from tests.waiting import free_port, until

GOAL_KB = 60.0


def _each(process: subprocess.Popen[bytes], kind: str, port: int, folder: object) -> float:
    """KB of the server's own memory for each of the herd."""
    until(lambda: listening(port), "somebody listens", 30)
    seen = psutil.Process(process.pid)
    first = Herd(kind, port, folder, 20)  # type: ignore[arg-type]
    first.all()
    first.close()
    before = seen.memory_full_info().uss
    crowd = Herd(kind, port, folder)  # type: ignore[arg-type]
    crowd.all()
    try:
        return float(seen.memory_full_info().uss - before) / HERD / 1024
    finally:
        crowd.close()


def run() -> list[Figure]:
    """The figure."""
    with hub_of_many() as (start_hub, hub_port, folder), ExitStack() as stack:
        hub = start_hub()
        stack.callback(hub.kill)
        ours = _each(hub, "agents", hub_port, folder)
        port = free_port()
        command = [sys.executable, "-m", "tests.chaos.herd", "serve", str(port), str(folder)]
        bare = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
        stack.callback(bare.kill)
        floor = _each(bare, "bare", port, folder)
    note = f"{ours - floor:.0f} KB above it, {HERD} of each"
    goal = f"+ <= {GOAL_KB:g} KB"
    return [
        Figure(
            "memory of an idle agent", ours, floor, "KB", "a bare TLS stream", goal, ours - floor <= GOAL_KB, note
        )
    ]
