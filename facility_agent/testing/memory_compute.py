"""Workspaces in memory: each really answers HTTP on a Unix socket, and runs nothing.

For authors of adapters, benchmarks and trials of everything but the compute itself. What runs is kept by a `Machine`,
apart from the adapters that ask it, as a scheduler would: an adapter may be made anew and finds it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from facility_agent.ports.compute import (
    Capacity,
    ComputeBackend,
    Endpoint,
    Observation,
    RunState,
    StartSpec,
    Task,
    filled,
)
from facility_agent.ports.directory import Account
from shared.errors import BackendUnavailable, InvalidRequest, QuotaExceeded
from shared.workspaces import is_workspace_id

_HEAD = 16 * 1024


@dataclass
class _Run:
    owner: str
    workspace_id: str
    environment: str
    username: str
    socket: Path
    headers: tuple[tuple[str, str], ...]
    task: Task | None = None
    opening: asyncio.Task[None] | None = None
    server: asyncio.Server | None = None
    ended: Observation | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request: 200 when it carries every header that lets the proxy in, else 403."""
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            inside = all(f"{name}: {value}" in head for name, value in self.headers)
            status, body = ("200 OK", f"workspace {self.workspace_id}\n") if inside else ("403 Forbidden", "")
            answer = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
            writer.write(answer.encode())
            await writer.drain()
        writer.close()


@dataclass
class Machine:
    """Where workspaces run. `slots` bounds how many at once; None is no bound.

    `broken` names environments whose program ends at once with a fault, `ends` tasks by the code with which theirs does; `down` says that nobody can ask it anything,
    while what runs there goes on. `started` is every start that had an effect, in order.
    """

    folder: Path
    slots: int | None = None
    broken: set[str] = field(default_factory=set)
    down: bool = False
    ends: Mapping[str, int] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    _runs: dict[tuple[str, str], _Run] = field(default_factory=dict)

    def running(self, workspace_id: str) -> int:
        """How many workspaces of this id run, whoever owns them."""
        return sum(run.ended is None for run in self._runs.values() if run.workspace_id == workspace_id)

    def of(self, owner: str) -> list[_Run]:
        """Everything that an owner ever started."""
        return [run for run in self._runs.values() if run.owner == owner]

    def find(self, owner: str, handle: str) -> _Run | None:
        """One of an owner's."""
        return self._runs.get((owner, handle))

    async def begin(self, run: _Run) -> None:
        """Take it; it serves when this returns, unless its environment is broken."""
        self._runs[run.owner, run.workspace_id] = run
        self.started.append(run.workspace_id)
        if run.environment in self.broken:
            run.ended = Observation(RunState.GONE, "EXITED", "It ended with a fault.", 1)
            return
        if run.task:
            code = self.ends.get(run.environment)
            run.ended = (
                Observation(RunState.GONE, "EXITED" if code else "", exit_code=code) if code is not None else None
            )
            return
        run.opening = asyncio.create_task(self._open(run))
        await asyncio.shield(run.opening)  # the machine has it now, whatever becomes of who asked

    async def _open(self, run: _Run) -> None:
        server = await asyncio.start_unix_server(run.serve, run.socket, limit=_HEAD)
        if run.ended is None:
            run.server = server
        else:
            server.close()
            run.socket.unlink(missing_ok=True)

    def end(self, run: _Run, how: Observation | None = None) -> None:
        """End it; what has ended already stays as it is. By default it ends because somebody asked."""
        if run.ended is None:
            run.ended = how or Observation(RunState.GONE, exit_code=0)
            if run.server is not None:
                run.server.close()
            run.socket.unlink(missing_ok=True)

    def close(self) -> None:
        """End everything."""
        for run in self._runs.values():
            self.end(run)


class MemoryCompute(ComputeBackend):
    """One agent's view of a machine. A handle is the workspace's id."""

    isolation = "none"
    detail = "In memory; nothing is computed."

    def __init__(self, machine: Machine, owner: str = "parasol") -> None:
        self._machine, self._owner = machine, owner

    async def start(self, spec: StartSpec, account: Account) -> str:
        """Start it once; the same id again finds what was started."""
        machine = self._asked()
        if not is_workspace_id(spec.workspace_id):
            raise InvalidRequest("This is no workspace's id.")
        if machine.find(self._owner, spec.workspace_id) is not None:
            return spec.workspace_id
        if machine.slots is not None and self._busy() >= machine.slots:
            raise QuotaExceeded("The facility is full at the moment; try again later.")
        socket = machine.folder / f"{len(machine.started)}.sock"
        fill = {"socket": str(socket), "work": str(machine.folder), "secret": spec.secret}
        headers = tuple((name, filled(value, fill)) for name, value in spec.headers)
        if spec.task:
            results = Path(spec.task.results)
            mount = next(each for each in spec.mounts if Path(each.place) == results.parent)
            folder = mount.folder / results.name
            folder.mkdir()
            (folder / "task.json").write_text(spec.task.facts)
            (folder / "log.txt").touch()
        run = _Run(self._owner, spec.workspace_id, spec.environment, account.username, socket, headers, spec.task)
        await machine.begin(run)
        return spec.workspace_id

    async def inspect(self, handles: Sequence[str]) -> Mapping[str, Observation]:
        """One look at many."""
        return {handle: self._observe(handle) for handle in handles}

    def _observe(self, handle: str) -> Observation:
        if self._machine.down:
            return Observation(RunState.UNKNOWN)
        run = self._machine.find(self._owner, handle)
        if run is None:
            return Observation(RunState.GONE)
        return run.ended or Observation(RunState.RUNNING if run.server or run.task else RunState.STARTING)

    async def stop(self, handle: str) -> None:
        """End it."""
        run = self._asked().find(self._owner, handle)
        if run is not None:
            self._machine.end(run)

    async def list_owned(self) -> Mapping[str, str]:
        """Everything that this owner started and that runs."""
        return {run.workspace_id: run.workspace_id for run in self._asked().of(self._owner) if run.ended is None}

    async def endpoint(self, handle: str) -> Endpoint | None:
        """Its socket while it serves."""
        run = self._machine.find(self._owner, handle)
        serves = run is not None and run.server is not None and run.ended is None
        return Endpoint(run.socket, run.headers) if run is not None and serves else None

    async def logs(self, handle: str) -> str:
        """One line for whom it was started."""
        run = self._machine.find(self._owner, handle)
        return f"{run.environment} for {run.username}\n" if run else ""

    async def capacity(self) -> Capacity:
        """One CPU a slot."""
        slots = self._machine.slots
        return Capacity(max(0, slots - self._busy()), slots) if slots is not None else Capacity()

    def _asked(self) -> Machine:
        if self._machine.down:
            raise BackendUnavailable
        return self._machine

    def _busy(self) -> int:
        return sum(run.ended is None for run in self._machine.of(self._owner))
