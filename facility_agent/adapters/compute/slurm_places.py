"""Where in the queue a job stands, as text for its person."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from facility_agent.adapters.compute.slurm_queue import Job, Queue

EVERY_S = 15.0
"""A partition's queue is read at most this often …"""
NEW_S = 2.0
"""… or this often while a job is not in it."""
TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\d")


class Places:
    """Remembers each partition's queue for a while."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._at: dict[str, float] = {}
        self._order: dict[str, dict[int, int]] = {}

    async def read(self, waiting: Sequence[Job]) -> None:
        """Read the queues in which these wait. Raises BackendUnavailable."""
        now = asyncio.get_running_loop().time()
        for job in waiting:
            partition = job.partition
            fresh = job.number not in self._order.get(partition, {})
            due = now - self._at.get(partition, -EVERY_S) >= (NEW_S if fresh else EVERY_S)
            if due and re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", partition):
                jobs = await self._queue.places(partition)
                self._order[partition] = {number: place for place, number in enumerate(jobs, 1)}
                self._at[partition] = now

    def told(self, job: Job, sentence: str) -> str:
        """The sentence with what is known of its place and of when it may start."""
        place = self._order.get(job.partition, {}).get(job.number)
        if place is not None:
            sentence += f" It is number {place} in the queue."
        found = TIME.fullmatch(job.start)
        return f"{sentence} It is expected to start at {found[2]} UTC on {found[1]}." if found else sentence
