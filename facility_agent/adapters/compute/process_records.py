"""What both kinds of process workspaces share: what is written down of them and what it means, and this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facility_agent.adapters.compute.endings import ENDINGS
from facility_agent.ports.compute import Capacity, Observation, RunState

LOG_TAIL = 64 * 1024
SOCKET_PATH = 100


class Reaper:
    """Supervisors are children of the agent that started them; collect those that have ended."""

    def __init__(self) -> None:
        self._children: list[Any] = []

    def add(self, process: Any) -> None:
        """Remember one."""
        self._children.append(process)

    def collect(self) -> None:
        """Collect those that have ended."""
        self._children = [process for process in self._children if process.poll() is None]


reaper = Reaper()


def is_young(meta: Path) -> bool:
    """Whether it was ordered within the last five seconds."""
    try:
        return time.time() - meta.with_suffix(".json").stat().st_mtime < 5
    except OSError:
        return False


def observed_end(ended: Mapping[str, Any]) -> Observation:
    """What a recorded end means, as a person can read it."""
    code = ended.get("code")
    if ended.get("stopped"):
        return Observation(RunState.GONE, exit_code=code if code is not None else 0)
    if not ended.get("started"):
        message = ended.get("why") or (
            "The facility could not start the environment's program; its operators can see why in its log."
        )
        return Observation(RunState.GONE, "BACKEND_FAILED", message)
    if code == 0:
        return Observation(RunState.GONE, exit_code=0, message="It ended by itself.")
    if code is not None and code < 0:
        return Observation(RunState.GONE, "KILLED", ENDINGS["KILLED"], code)
    return Observation(RunState.GONE, "EXITED", ENDINGS["EXITED"], code)


def check_room(folder: Path, rest: str) -> None:
    """Raises ValueError when a workspace's socket, `rest` below its folder, would have too long a name."""
    if len(str(folder)) + 37 + len(rest) + 1 > SOCKET_PATH:
        raise ValueError(f"folder: {folder} is too long for a Unix socket below it; use a shorter path")


def tail(log: Path) -> str:
    """The end of a workspace's output; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LOG_TAIL))
            return file.read(LOG_TAIL).decode(errors="replace")
    except FileNotFoundError:
        return ""


def machine() -> Capacity:
    """Total CPUs and memory of this machine, and what is free of its memory."""
    import psutil

    memory = psutil.virtual_memory()
    return Capacity(None, os.cpu_count(), memory.available, memory.total)
