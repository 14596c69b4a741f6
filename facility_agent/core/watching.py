"""Watching: what the compute backend sees becomes rows. Unknown is not gone, and an end is believed only when it is certain."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from facility_agent.core.reports import began, entered, left_queue, waits, was_taken
from facility_agent.core.rows import Rows
from facility_agent.core.runs import START_WITHIN, Runs
from facility_agent.ports.compute import ComputeBackend, Observation, RunState
from facility_agent.ports.store import WorkspaceRow
from shared.errors import BackendError, ParasolError
from shared.workspaces import StepName, Why, WorkspaceState

log = logging.getLogger(__name__)
QUICK, SLOW = 0.05, 2.0
PROBE_EVERY = 30.0
AT_ITS_END = (Why.LIFETIME.value, "It reached its end.")
TOO_LONG = (Why.TIMED_OUT.value, "It did not start within 10 minutes.")


class Watcher:
    """Looks at what lives, often while something starts and seldom otherwise. `clock` is POSIX time."""

    def __init__(self, rows: Rows, compute: ComputeBackend, clock: Callable[[], float]) -> None:
        self._rows, self._compute, self._clock = rows, compute, clock
        self._gone: dict[str, int] = {}
        self._tried: dict[str, float] = {}
        self._probing = asyncio.Lock()
        self._probed = False
        self._wake = asyncio.Event()
        self.runs: Runs | None = None

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    async def watch(self) -> None:
        """Until cancelled."""
        loop, probe_at = asyncio.get_running_loop(), 0.0
        while True:
            self._wake.clear()
            busy = False
            try:
                if loop.time() >= probe_at:
                    probe_at = loop.time() + PROBE_EVERY
                    await self._rows.load()
                    self._rows.forget_old(self._clock())
                    await self.probe()
                busy = await self.look()
            except ParasolError as error:
                log.warning("workspaces could not be looked at: %s", error.message)
            except Exception:  # an adapter's fault must not end the agent
                log.exception("workspaces could not be looked at")
            try:
                async with asyncio.timeout(QUICK if busy else SLOW):
                    await self._wake.wait()
            except TimeoutError:
                continue

    # --- what runs, as the backend itself lists it

    async def probed(self) -> None:
        """Return once this process has read what runs here. Raises ParasolError when that is not possible."""
        async with self._probing:
            if not self._probed:
                await self._probe()

    async def probe(self) -> None:
        """Read what runs here: find it again, and begin again what was never begun. Raises ParasolError."""
        async with self._probing:
            await self._probe()

    async def _probe(self) -> None:
        try:
            owned = await self._compute.list_owned()
            self._rows.unowned = await self._rows.strays(owned)
        except BaseException:
            self._rows.complete = False
            raise
        self._rows.complete = self._probed = True
        for name in [row.workspace_id for row in self._rows.living()]:
            row = self._rows.latest(name)  # as it is now: each change below takes its time
            if row is None or row.state.is_final or row.handle or self._running.busy(name):
                continue
            handle = owned.get(row.workspace_id, "")
            if handle:
                await self._rows.change(name, lambda old, h=handle: replace(old, handle=h))  # type: ignore[misc]
            else:
                await self._never_began(row)

    async def _never_began(self, row: WorkspaceRow) -> None:
        name = row.workspace_id
        if row.state is WorkspaceState.STOPPING:
            await self._rows.end(name, WorkspaceState.ENDED, "", "")
        elif _too_long(row, self._clock()):
            await self._rows.end(name, WorkspaceState.FAILED, *TOO_LONG)
        elif self._due(name):
            self._running.begin_again(row)

    # --- what lives

    async def look(self) -> bool:
        """One look at every living workspace; whether one of them is starting. Raises ParasolError."""
        living = self._rows.living()
        seen = await self._compute.inspect([row.handle for row in living if row.handle])
        busy = lost = False
        for name in (row.workspace_id for row in living):
            row = self._rows.latest(name)
            if row is None or row.state.is_final or self._running.busy(name):
                busy = busy or self._running.starts(name)
            elif not row.handle:
                lost = True
            elif row.handle in seen:
                await self._observe(row, seen[row.handle])
                after = self._rows.latest(name)
                busy = busy or (after is not None and after.state is WorkspaceState.STARTING)
        self._rows.forget_old(self._clock())
        if lost and self._due(""):
            await self.probe()
        return busy

    async def _observe(self, row: WorkspaceRow, observed: Observation) -> None:
        name, now = row.workspace_id, self._clock()
        if observed.state is RunState.GONE:
            await self._observe_gone(row, observed, now)
            return
        self._gone.pop(name, None)
        if row.state is WorkspaceState.STOPPING:
            self._end(name)
        elif _is_over(row, now):
            self._end(name, *AT_ITS_END)
        elif observed.state is RunState.RUNNING and row.state is not WorkspaceState.RUNNING:
            await self._rows.change(
                name,
                lambda old: replace(
                    entered(old, StepName.READY, now), state=WorkspaceState.RUNNING,
                    ends_at=old.ends_at or now + old.lifetime_s,
                ),
            )  # fmt: skip
        elif observed.state is RunState.UNKNOWN and row.state is WorkspaceState.RUNNING:
            await self._rows.change(name, lambda old: replace(old, state=WorkspaceState.UNKNOWN))
        elif observed.state is RunState.QUEUED and row.state is WorkspaceState.STARTING:
            if waits(row, observed.message) != row:
                await self._rows.change(name, lambda old: waits(old, observed.message))
        elif observed.state is RunState.STARTING and left_queue(row, now) != row:
            await self._rows.change(name, lambda old: left_queue(old, now))
        elif observed.state is RunState.STARTING and _too_long(row, now):
            self._end(name, *TOO_LONG, WorkspaceState.FAILED)

    async def _observe_gone(self, row: WorkspaceRow, observed: Observation, now: float) -> None:
        """Two looks are needed to believe an end, unless the backend knows how it ended."""
        name = row.workspace_id
        self._gone[name] = self._gone.get(name, 0) + 1
        no_trace = observed.exit_code is None and not observed.reason
        if no_trace and self._gone[name] < 2:
            return
        del self._gone[name]
        never_ran, over = row.state is WorkspaceState.STARTING, _is_over(row, now)
        if no_trace and never_ran and not was_taken(row) and not _too_long(row, now):
            # An earlier process died between taking note of it and starting it; `start` is idempotent by its id.
            self._running.begin_again(row)
        elif row.state is WorkspaceState.STOPPING or over:
            await self._rows.end(name, WorkspaceState.ENDED, *(AT_ITS_END if over else ("", "")))
        elif observed.exit_code == 0 and row.results:
            await self._rows.end(
                name, WorkspaceState.ENDED, Why.FINISHED.value, f"Its results are in {row.results}."
            )
        elif observed.exit_code == 0 and not never_ran:
            await self._rows.end(name, WorkspaceState.ENDED, "", "")
        else:
            reason, message = observed.reason or BackendError.reason, observed.message or "It ended by itself."
            log_file = f" What it wrote is in {row.results}/log.txt." if row.results and observed.exit_code else ""
            await self._rows.end(name, WorkspaceState.FAILED, reason, message + log_file)

    def _end(
        self, workspace_id: str, reason: str = "", message: str = "",
        state: WorkspaceState = WorkspaceState.ENDED,
    ) -> None:  # fmt: skip
        if self._due(workspace_id):
            self._running.end(workspace_id, reason, message, state)

    def _due(self, what: str) -> bool:
        """Whether it was not tried within the last moments."""
        now = asyncio.get_running_loop().time()
        self._tried = {name: at for name, at in self._tried.items() if at > now - SLOW}
        return self._tried.setdefault(what, now) == now

    @property
    def _running(self) -> Runs:
        assert self.runs is not None
        return self.runs


def _is_over(row: WorkspaceRow, now: float) -> bool:
    return row.ends_at is not None and row.ends_at <= now


def _too_long(row: WorkspaceRow, now: float) -> bool:
    return row.state is WorkspaceState.STARTING and now - began(row) > START_WITHIN
