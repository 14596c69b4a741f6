"""A compute adapter whose effects are lines: what was really started and stopped, outside every store and database.

Each call appends one line, by one write and one fsync; so an effect is there whole or not at all, and a call too many
is seen. Only what another installation has started is found, as the port demands: two that share a ledger, as a copied
state and its original do, have no other way to know. What runs is what was started and not stopped. Installed as
anybody's adapter is: by an entry point.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from facility_agent.plugins import Site
from facility_agent.ports.compute import Capacity, ComputeBackend, Endpoint, Observation, RunState, StartSpec
from facility_agent.ports.directory import Account
from tests.chaos import stacks

STARTED, STOPPED = "EFFECT", "STOPPED"
ENTRY_POINT = "[parasol.compute]\nledger = tests.chaos.ledger:Plugin\n"


class Settings(BaseModel):
    """`file` is the ledger; several agents may write to one."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    file: Path


class Ledger(ComputeBackend):
    """The adapter."""

    isolation = "none"

    def __init__(self, file: Path, who: str, home: str) -> None:
        self._file, self._who, self._home = file, who, home
        self._read, self._runs = 0, {}  # type: ignore[var-annotated]

    def _append(self, workspace_id: str, what: str) -> None:
        entry = {
            "order_id": workspace_id, "what": what, "epoch": 0, "who": self._who, "at": time.monotonic(), "home": self._home,
        }  # fmt: skip
        descriptor = os.open(self._file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if what == STARTED and self._started_elsewhere(workspace_id):
                return
            line, size = json.dumps(entry).encode() + b"\n", os.fstat(descriptor).st_size
            if os.write(descriptor, line) < len(line):
                os.ftruncate(descriptor, size)
                raise OSError("no room for a line")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _started_elsewhere(self, workspace_id: str) -> bool:
        found = [json.loads(line) for line in entries(self._file) if workspace_id in line]
        return any(entry["what"] == STARTED and entry["home"] != self._home for entry in found)

    def _known(self) -> Mapping[str, bool]:
        """Workspace id → whether it runs."""
        with self._file.open("ab+") as lines:
            lines.seek(self._read)
            for line in lines:
                entry = json.loads(line)
                self._runs[entry["order_id"]] = entry["what"] == STARTED
            self._read = lines.tell()
        return self._runs

    async def start(self, spec: StartSpec, account: Account) -> str:
        """One line each time: whoever calls twice has had two effects."""
        await asyncio.to_thread(self._append, spec.workspace_id, STARTED)
        return spec.workspace_id

    async def inspect(self, handles: Sequence[str]) -> Mapping[str, Observation]:
        """Read from the ledger."""
        runs = self._known()
        return {h: Observation(RunState.RUNNING if runs.get(h) else RunState.GONE) for h in handles}

    async def stop(self, handle: str) -> None:
        """One line each time: to stop twice is no harm."""
        await asyncio.to_thread(self._append, handle, STOPPED)

    async def list_owned(self) -> Mapping[str, str]:
        """Read from the ledger."""
        return {name: name for name, runs in self._known().items() if runs}

    async def endpoint(self, handle: str) -> Endpoint | None:
        """Nobody opens these."""
        return None

    async def logs(self, handle: str) -> str:
        """They say nothing."""
        return ""

    async def capacity(self) -> Capacity:
        """There is always room."""
        return Capacity()


class Plugin:
    """The entry point."""

    settings = Settings

    @staticmethod
    def build(settings: Any, site: Site) -> Ledger:
        """See `plugins.Plugin`."""
        stacks.answer()
        return Ledger(site.config_folder / settings.file, site.facility_id, site.config_folder.name)


def install(folder: Path) -> Path:
    """A folder for PYTHONPATH in which the adapter is installed."""
    metadata = folder / "parasol_ledger-1.dist-info"
    metadata.mkdir(parents=True, exist_ok=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: parasol-ledger\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINT)
    return folder


def entries(file: Path) -> list[str]:
    """The lines so far."""
    return file.read_text().splitlines() if file.exists() else []
