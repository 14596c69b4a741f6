"""What is asked of Slurm about jobs, whichever way: by its commands (`slurm_commands`) or by slurmrestd (`slurm_rest`).

Jobs are asked for by name, and only those count that bear exactly one of these names and are their account's: a person
may name a job of theirs as they like, but not so that it speaks for another's.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from facility_agent.adapters.compute.slurm_api import ENDS
from facility_agent.plugins import Fault
from facility_agent.ports.compute import Capacity

AWAY = "The facility's scheduler does not answer at the moment."
HAS_RUN, CANNOT_MOUNT = 75, 76
"""Exit codes of the job's script: of a second job for a workspace; of one on a node that cannot mount read-only."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job. `host` is the machine that the scheduler gave it; `exit_code` as a shell has it; `start` in UTC, as
    "2026-11-25T17:00:00", and anything else when it is not known.
    """

    number: int
    state: str
    exit_code: int | None = None
    host: str = ""
    start: str = ""
    partition: str = ""
    reason: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.state in ENDS


@dataclass(frozen=True, slots=True)
class Wanted:
    """A workspace whose job is looked for: whose it must be, and when it was asked for (POSIX seconds)."""

    uid: int
    username: str
    asked: float


class Queue(ABC):
    """One cluster's queue and accounting. Each question raises BackendUnavailable when it was not answered whole."""

    @abstractmethod
    async def jobs(self, wanted: Mapping[str, Wanted]) -> dict[str, Job]:
        """Workspace id → its job, of those that the scheduler knows; one question, however many they are."""

    @abstractmethod
    async def past(self, wanted: Mapping[str, Wanted]) -> dict[str, Job]:
        """The same of the accounting, for jobs that the scheduler has forgotten."""

    @abstractmethod
    async def forgotten(self, number: int) -> bool:
        """Whether the scheduler says in so many words that it has no such job."""

    @abstractmethod
    async def places(self, partition: str) -> Sequence[int]:
        """The jobs that wait in a partition, those with the highest priority first."""

    @abstractmethod
    async def capacity(self, partition: str) -> Capacity:
        """Of the nodes that work; of all partitions when none is named."""

    @abstractmethod
    def faults(self) -> Iterator[Fault]:
        """What does not answer, for the operator. Not within an event loop."""


def name_of(workspace_id: str) -> str:
    """A workspace's name as a job."""
    return f"parasol-{workspace_id}"


def id_of(name: str) -> str | None:
    """The workspace's id in a job's name."""
    bare = name.removeprefix("parasol-")
    return bare if bare != name else None


def host_of(said: str) -> str:
    """A machine's name; empty for anything else, as `n/a`."""
    return said if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}", said) else ""


def chosen(pairs: Iterable[tuple[str, Job] | None]) -> dict[str, Job]:
    """Of several for one workspace, the one that lives or, at the end, the one that ran."""
    found: dict[str, Job] = {}
    for name, job in filter(None, pairs):
        other = found.get(name)
        if other is None or _rank(job) < _rank(other):
            found[name] = job
    return found


def _rank(job: Job) -> tuple[bool, bool, int]:
    return job.ended, job.exit_code == HAS_RUN, job.number
