"""What is read of slurmrestd's lists, in all forms that its versions have. Pure.

A job has 110 fields (22.05.8); the parser passes over those that are not named here, which is most of what a look at a large cluster costs.
What a field holds is not trusted: each is taken as it comes, and looked at where it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

import msgspec

from facility_agent.adapters.compute import slurm_api
from facility_agent.adapters.compute.slurm_api import number
from facility_agent.adapters.compute.slurm_queue import AWAY, Job, Wanted, host_of, id_of
from shared.errors import BackendUnavailable

R = TypeVar("R")


class QueuedJob(msgspec.Struct):
    """One of `/slurm/…/jobs`."""

    job_id: Any = None
    name: Any = None
    user_id: Any = None
    job_state: Any = None
    exit_code: Any = None
    batch_host: Any = None
    start_time: Any = None
    partition: Any = None
    priority: Any = None
    state_reason: Any = None


class PastJob(msgspec.Struct):
    """One of `/slurmdb/…/jobs`."""

    job_id: Any = None
    name: Any = None
    user: Any = None
    state: Any = None
    exit_code: Any = None


class Node(msgspec.Struct):
    """One of `/slurm/…/nodes`."""

    cpus: Any = None
    alloc_cpus: Any = None
    real_memory: Any = None
    alloc_memory: Any = None
    state: Any = None
    state_flags: Any = None
    partitions: Any = None


class Said(msgspec.Struct):
    """What every answer has; `errors` as `slurm_api.faults` takes them."""

    errors: Any = None


class Jobs(Said):
    """The queue."""

    jobs: list[QueuedJob] | None = None


class PastJobs(Said):
    """The accounting."""

    jobs: list[PastJob] | None = None


class Nodes(Said):
    """The machines."""

    nodes: list[Node] | None = None


S = TypeVar("S", bound=Said)


@cache
def reader(kind: type[S]) -> Callable[[bytes], S]:
    """Its parser. That raises ValueError, RecursionError for anything else."""
    return msgspec.json.Decoder(kind).decode


def listed(rows: list[R] | None) -> list[R]:
    """The list that an answer without errors has to have. Raises BackendUnavailable when there is none."""
    if rows is None:
        raise BackendUnavailable(AWAY)
    return rows


def _wanted(name: object, wanted: Mapping[str, Wanted]) -> tuple[str, Wanted] | None:
    """The workspace that a job's name says, when it is one of them."""
    workspace = id_of(name) if isinstance(name, str) else None
    known = wanted.get(workspace) if workspace else None
    return None if workspace is None or known is None else (workspace, known)


def of_queue(row: QueuedJob, wanted: Mapping[str, Wanted]) -> tuple[str, Job] | None:
    """The workspace whose job it is; None when it is none of those that are wanted, of the account that it must be of."""
    known, state = _wanted(row.name, wanted), slurm_api.state(row.job_state)
    if known is None or row.user_id != known[1].uid or type(row.job_id) is not int or not state:
        return None
    start, host = number(row.start_time) or 0, row.batch_host
    return known[0], Job(
        row.job_id, state, slurm_api.exit_code(row.exit_code), host_of(host) if host and isinstance(host, str) else "",
        f"{datetime.fromtimestamp(start, UTC):%Y-%m-%dT%H:%M:%S}" if 0 < start < 2**32 else "",
        str(row.partition), str(row.state_reason or ""),
    )  # fmt: skip


def of_accounting(row: PastJob, wanted: Mapping[str, Wanted]) -> tuple[str, Job] | None:
    """The same of the accounting."""
    known = _wanted(row.name, wanted)
    state = slurm_api.state(row.state.get("current")) if isinstance(row.state, dict) else ""
    if known is None or row.user != known[1].username or type(row.job_id) is not int or not state:
        return None
    code = slurm_api.exit_code(row.exit_code)
    # 22.05 calls every code that is no signal's 0 here.
    return known[0], Job(row.job_id, state, None if state == "FAILED" and code == 0 else code)


_AWAY = {"DOWN", "DRAIN", "FAIL", "NOT_RESPONDING", "NO_RESPOND", "UNKNOWN", "POWERED_DOWN", "MAINTENANCE"}


def works(row: Node, partition: str) -> bool:
    """Whether it takes jobs of the partition; of any, when none is named."""
    said = (row.state, row.state_flags)
    words = {str(word).upper() for each in said for word in (each if isinstance(each, list) else [each])}
    there = not partition or (isinstance(row.partitions, list) and partition in row.partitions)
    return there and not words & _AWAY
