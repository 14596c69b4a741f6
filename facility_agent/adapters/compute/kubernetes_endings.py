"""How workspaces on the cluster end: each end is written down with its reason before and after it is brought about."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any

from facility_agent.adapters.compute.kubernetes_doors import Doors
from facility_agent.adapters.compute.kubernetes_making import Maker
from facility_agent.adapters.compute.kubernetes_objects import name_of, workspace_of
from facility_agent.adapters.compute.kubernetes_reasons import judge
from facility_agent.adapters.compute.kubernetes_records import Records
from facility_agent.adapters.compute.kubernetes_watch import Mirror
from facility_agent.ports.compute import Observation, RunState
from shared.errors import BackendError, ParasolError

log = logging.getLogger(__name__)
TIDY_S, WAITS_S, NEW_S = 60.0, 120.0, 15.0
"""How often what is left is looked for; how much longer than its grace a pod may take to end; how long its node may take to say that it runs.

A kubelet leaves a pod that was deleted while it was being set up, or before it told that it runs, until it next looks at all of them (a minute to a minute and a half).
"""
ASKED_FOR = Observation(RunState.GONE)
"""The reason of an end that was asked for: none."""


class Endings:
    """Ends, and the tasks that bring them about: one at a time for each workspace."""

    def __init__(self, maker: Maker, pods: Mirror, records: Records, doors: Doors, grace_s: int) -> None:
        self._maker, self._pods, self._records, self._doors, self._grace_s = maker, pods, records, doors, grace_s
        self.locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._failing: dict[str, tuple[str, float]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def fails_since(self, handle: str, code: str) -> float:
        """For how many seconds it has failed in this way."""
        now = asyncio.get_running_loop().time()
        before, since = self._failing.get(handle, ("", now))
        if before != code:
            self._failing[handle] = (code, now)
            return 0.0
        return now - since

    def no_longer_fails(self, handle: str) -> None:
        """It goes on."""
        self._failing.pop(handle, None)

    async def stop(self, handle: str) -> None:
        """As it was asked for. Raises BackendError, BackendUnavailable; it will end all the same."""
        record = self._records.get(handle)
        if record is None or (record.ended is None and record.ending is None):
            await self._records.change(handle, ending=ASKED_FOR)
        if self._doors.knows(handle) and self._pods.believed:
            await self._pods.until(lambda: not _is_new(self._pods.objects.get(name_of(handle))), NEW_S)
        last = await self._remove(handle, wholly=False)
        await self.ended(handle, Observation(RunState.GONE, exit_code=exit_code(last)))

    def finish(self, handle: str, seen: Observation) -> None:
        """It has ended by itself: keep its output and its end, then take it away."""
        self._spawn(handle, lambda: self._finish(handle, seen))

    def give_up(self, handle: str, seen: Observation) -> None:
        """It will not start: take it away."""
        self._spawn(handle, lambda: self._give_up(handle, seen))

    def forget(self, handle: str) -> None:
        """What is recorded as ended has to go."""
        self._spawn(handle, lambda: self._clear(handle))

    async def ended(self, handle: str, seen: Observation) -> None:
        """Nothing of it runs any more: write it down, unless that was done."""
        record = self._records.get(handle)
        if record is None or record.ended is None:
            await self._records.change(handle, ended=seen, untidy=True)
        self.forget(handle)

    async def tidy_again(self) -> None:
        """Until cancelled: what could not be removed is tried again, and what came late is removed."""
        while True:
            late = {workspace_of(name) for name in self._pods.objects} - {None}
            for handle in {*self._records.untidy(), *late}:
                record = self._records.get(handle) if handle else None
                if handle and record is not None and record.ended is not None:
                    self.forget(handle)
            await asyncio.sleep(TIDY_S)

    async def leave(self) -> None:
        """Leave everything as it is."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- what the tasks do

    async def _remove(self, handle: str, *, wholly: bool = True) -> dict[str, Any] | None:
        """Delete the pod and wait until the cluster has it no more; the last of it. Raises BackendError, BackendUnavailable.

        Not `wholly`: until its node says that nothing of it runs any more, which is seconds earlier.
        """
        name, loop = name_of(handle), asyncio.get_running_loop()
        last, deadline = self._pods.objects.get(name), loop.time() + self._grace_s + WAITS_S
        await self._maker.end(handle, last["metadata"]["uid"] if last else "", self._grace_s)

        def is_over(pod: Mapping[str, Any] | None) -> bool:
            return pod is None or (
                not wholly and (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
            )

        while True:
            if self._pods.believed:
                await self._pods.until(lambda: is_over(self._pods.objects.get(name)), 5)
            last = self._pods.objects.get(name) or self._pods.gone.get(name) or last
            found = await self._maker.find(handle)
            if found is None:
                self._pods.drop(name)
                return self._pods.gone.get(name) or last
            if is_over(found):
                return found
            if loop.time() > deadline:
                raise BackendError("The facility could not stop the workspace yet; it tries again.")
            await asyncio.sleep(0.1)

    async def _finish(self, handle: str, seen: Observation) -> None:
        with suppress(ParasolError):
            output = await self._maker.output(handle)
            await asyncio.to_thread(self._records.log(handle).write_text, output)
        await self._records.change(handle, ended=seen, untidy=True)
        await self._clear(handle)

    async def _give_up(self, handle: str, seen: Observation) -> None:
        async with self.locks[handle]:
            await self._records.change(handle, ending=seen)
            await self._remove(handle)
            await self._records.change(handle, ended=seen, untidy=True)
        await self._clear(handle)

    async def _clear(self, handle: str) -> None:
        self.no_longer_fails(handle)
        await self._doors.shut(handle)
        await self._remove(handle)
        await self._maker.tidy(handle)
        await self._records.change(handle, untidy=False)
        self.locks.pop(handle, None)

    def _spawn(self, handle: str, work: Any) -> None:
        if handle in self._tasks:
            return

        async def run(effect: Coroutine[Any, Any, None]) -> None:
            try:
                await effect
            except ParasolError as error:  # `tidy_again` or the next look tries again
                log.warning("workspace %s is not tidied up yet: %s", handle, error.message)
            except Exception:
                log.exception("workspace %s is not tidied up yet", handle)
            finally:
                del self._tasks[handle]

        self._tasks[handle] = asyncio.create_task(run(work()))


def _is_new(pod: Mapping[str, Any] | None) -> bool:
    return pod is not None and (pod.get("status") or {}).get("phase", "Pending") == "Pending"


def exit_code(pod: Mapping[str, Any] | None) -> int:
    """Of a pod that was stopped; 0 when nobody knows."""
    with suppress(KeyError, TypeError, ValueError, AttributeError):
        code = judge(pod).seen.exit_code if pod else None
        return 0 if code is None else code
    return 0
