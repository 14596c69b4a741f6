"""How often Slurm is asked, and what its two memories say together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Set
from typing import Any

from facility_agent.adapters.compute.process_helper import Helper
from facility_agent.adapters.compute.slurm_orders import wanted_of
from facility_agent.adapters.compute.slurm_queue import Job, Queue
from facility_agent.adapters.compute.slurm_settings import SlurmSettings
from facility_agent.plugins import Fault
from shared.errors import ParasolError

YOUNG_S, POLL_YOUNG_S = 20.0, 0.2
"""At first a workspace is looked at more often."""


async def jobs_of(known: Mapping[str, Mapping[str, Any]], queue: Queue) -> tuple[dict[str, Job], Set[str]]:
    """The jobs that Slurm tells of, and of which workspaces it could tell. Raises BackendUnavailable.

    An answer without a job is no end of it.
    """
    if not known:
        return {}, set()
    wanted = {name: wanted_of(each) for name, each in known.items()}
    found = await queue.jobs(wanted)
    missing = {name: each for name, each in wanted.items() if name not in found}
    if not missing:
        return found, wanted.keys()
    try:
        # What the accounting still calls running, and the scheduler does not know, is not known.
        past = {name: job for name, job in (await queue.past(missing)).items() if job.ended}
    except ParasolError:
        return found, found.keys()
    return found | past, wanted.keys()


class Looks:
    """Asks about all workspaces at once, at most every `poll_s` seconds, and more often while one is young."""

    def __init__(self, queue: Queue, poll_s: float) -> None:
        self._queue, self._poll_s = queue, poll_s
        self._asked: Set[str] = frozenset()
        self._at = 0.0
        self._said: tuple[dict[str, Job], Set[str]] = {}, frozenset()

    async def jobs(self, known: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Job], Set[str]]:
        """As `jobs_of`, perhaps a moment old. Raises BackendUnavailable."""
        now, wall = asyncio.get_running_loop().time(), time.time()
        young = any(wall - each["asked"] < YOUNG_S for each in known.values())
        pause = min(self._poll_s, POLL_YOUNG_S) if young else self._poll_s
        if not known.keys() <= self._asked or now - self._at >= pause:
            self._said = await jobs_of(known, self._queue)
            self._asked, self._at = frozenset(known), now
        jobs, told = self._said
        return {name: job for name, job in jobs.items() if name in known}, told & known.keys()


def faults(helper: Helper, queue: Queue, settings: SlurmSettings) -> Iterator[Fault]:
    """Whether the helper answers and does Slurm, and Slurm answers."""
    try:
        if asyncio.run(helper.ask("describe")).get("slurm") is None:
            yield Fault(
                "helper", "The helper's configuration has no [slurm].", "Write one, and restart the helper."
            )
    except ParasolError as error:
        what = f"{helper.path}: {error.message}"
        yield Fault("helper", what, "Start parasol-helper.service, and run this as the agent's user.")
    for program, words in (("squeue", ("--noheader",)), ("sinfo", ("--noheader",)), ("sacct", ("--noheader",))):
        try:
            asyncio.run(queue.ask(program, *words))
        except ParasolError:
            mend = f"Run {settings.programs}/{program} as the agent's user, and see what it says."
            yield Fault("programs", f"{program} does not answer.", mend)
