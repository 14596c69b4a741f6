"""Machines for the compute suite."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from facility_agent.adapters.compute.process import ProcessCompute
from facility_agent.adapters.compute.process_settings import ProcessSettings
from facility_agent.ports.compute import ComputeBackend, Mount, StartSpec, Task
from facility_agent.ports.directory import Account
from facility_agent.testing.compute_contract import ComputeWorld
from facility_agent.testing.memory_compute import Machine, MemoryCompute
from shared.facilities import Flavour

ACCOUNT = Account("ada", "id-ada", 4001, 4001, (4002,), Path("/home/ada"))
SMALL = Flavour("small", "Small", 1, 2**30, 0, 0, 3600)
SERVER = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
while True:
    visitor, _ = listener.accept()
    inside = os.environ["SECRET"].encode() in visitor.recv(65536)
    visitor.sendall(b"HTTP/1.1 %d X\\r\\nContent-Length: 0\\r\\n\\r\\n" % (200 if inside else 403))
    visitor.close()
"""


def server_spec(**changes: object) -> StartSpec:
    """A workspace that answers on its socket until it is stopped."""
    command = (sys.executable, "-S", "-c", SERVER, "{socket}")
    made = StartSpec(
        str(uuid.uuid4()), "server", command, SMALL, (), 3600, secrets.token_urlsafe(32),
        (("SECRET", "{secret}"),), (("Authorization", "token {secret}"),),
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


PROGRAM = """
import json, os, signal, sys
results, code = sys.argv[1], sys.argv[2]
facts = json.load(open(os.path.join(results, "task.json")))
with open(os.path.join(results, "curve"), "w") as file:
    file.write(facts["dataset"])
print("reduced", facts["dataset"], flush=True)
signal.pause() if code == "None" else sys.exit(int(code))
"""


def task_spec(folder: Path, code: int | None, python: str = sys.executable, **changes: object) -> StartSpec:
    """A task with its results below `folder`; it reads what it is told, and writes a result and a line."""
    place = f"processed/p/reduction-{secrets.token_hex(4)}"
    return server_spec(
        command=(python, "-S", "-c", PROGRAM, "{results}", str(code)), environment=f"task-{code}", headers=(),
        mounts=(Mount("p", folder, read_only=False, within="processed"),),
        task=Task(place, '{"dataset": "d-1"}'), **changes,
    )  # fmt: skip


def results_of(spec: StartSpec) -> dict[str, str]:
    """The files of a task's results."""
    assert spec.task is not None
    folder = spec.mounts[0].folder / Path(spec.task.results).name
    return {path.name: path.read_text() for path in folder.iterdir()}


class MemoryWorld(ComputeWorld):
    """A machine in memory."""

    account = ACCOUNT

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.machine = Machine(folder, broken={"broken"}, ends={"task-0": 0, "task-3": 3})
        self.backend = MemoryCompute(self.machine)

    def spec(self) -> StartSpec:
        return server_spec()

    def doomed(self) -> StartSpec:
        return server_spec(environment="broken")

    def task(self, code: int | None) -> StartSpec:
        return task_spec(self.folder, code)

    def results(self, spec: StartSpec) -> dict[str, str]:
        return results_of(spec)

    def reopened(self) -> ComputeBackend:
        return MemoryCompute(self.machine)

    def stranger(self) -> ComputeBackend:
        return MemoryCompute(self.machine, "somebody-else")

    def running(self, workspace_id: str) -> int:
        return self.machine.running(workspace_id)

    @asynccontextmanager
    async def blinded(self, workspace_id: str) -> AsyncIterator[None]:
        self.machine.down = True
        yield
        self.machine.down = False


class ProcessWorld(ComputeWorld):
    """Processes of this machine."""

    account = ACCOUNT

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backend = self.reopened()

    def adapter(self, name: str) -> ProcessCompute:
        state = self.folder / f"{name}-state"
        state.mkdir(exist_ok=True)
        settings = ProcessSettings(isolation="none", folder=self.folder / name, grace_s=2)
        return ProcessCompute(settings, state, self.folder / name)

    def spec(self) -> StartSpec:
        return server_spec()

    def doomed(self) -> StartSpec:
        return server_spec(command=("/no/such/program", "{socket}"))

    def task(self, code: int | None) -> StartSpec:
        return task_spec(self.folder, code)

    def results(self, spec: StartSpec) -> dict[str, str]:
        return results_of(spec)

    def reopened(self) -> ComputeBackend:
        return self.adapter("w")

    def stranger(self) -> ComputeBackend:
        return self.adapter("o")

    def running(self, workspace_id: str) -> int:
        return sum(
            f"/{workspace_id}/s " in words or f"/{workspace_id}/work/" in words for words in command_lines()
        )

    @asynccontextmanager
    async def blinded(self, workspace_id: str) -> AsyncIterator[None]:
        record = self.folder / "w-state" / f"{workspace_id}.run"
        kept = record.read_text()
        record.write_text("{")
        yield
        record.write_text(kept)


def command_lines() -> list[str]:
    """What runs on this machine, a line a process."""
    lines = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                lines.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue
    return lines


@asynccontextmanager
async def memory_compute(folder: Path) -> AsyncIterator[ComputeWorld]:
    with tempfile.TemporaryDirectory(prefix="pa-", dir="/tmp") as short:
        world = MemoryWorld(Path(short))
        try:
            yield world
        finally:
            world.machine.close()


@asynccontextmanager
async def process(folder: Path) -> AsyncIterator[ComputeWorld]:
    assert os.getuid() != 0
    with tempfile.TemporaryDirectory(prefix="pa-", dir="/tmp") as short:
        world = ProcessWorld(Path(short))
        try:
            yield world
        finally:
            for backend in (world.reopened(), world.stranger()):
                for handle in (await backend.list_owned()).values():
                    await backend.stop(handle)
