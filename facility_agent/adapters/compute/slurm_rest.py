"""The queue by slurmrestd: one list of jobs for all, one of the accounting, with a token of the agent's own account.

The helper gives the token; nobody else's is ever here. An answer's `errors` say more than its status: 22.05 answers
200 with an authentication error of the accounting, and 500 with a number for an id that it does not have.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from facility_agent.adapters.compute import slurm_api
from facility_agent.adapters.compute.process_helper import Helper
from facility_agent.adapters.compute.slurm_api import number
from facility_agent.adapters.compute.slurm_queue import AWAY, Job, Queue, Wanted, chosen, name_of
from facility_agent.adapters.compute.slurm_rows import (
    Jobs,
    Nodes,
    PastJob,
    PastJobs,
    S,
    listed,
    of_accounting,
    of_queue,
    reader,
    works,
)
from facility_agent.adapters.http import Answer, Bounds, Upstream
from facility_agent.plugins import Fault
from facility_agent.ports.compute import Capacity
from shared.errors import BackendUnavailable, ParasolError

log = logging.getLogger(__name__)
BOUNDS = Bounds(seconds=15.0, size=32 * 2**20, depth=0)
AT_ONCE = 100
"""Names in one question to the accounting: they are in its address."""
AGAIN_S = 60.0
"""A token that is not liked is renewed before its time at most this often."""


class Failed(Exception):
    """What slurmrestd said: the cause of a BackendUnavailable. `faults` as in slurm_api."""

    def __init__(self, what: str, faults: Sequence[tuple[int, str]] = ()) -> None:
        self.faults = faults
        super().__init__(what)


@dataclass(frozen=True, slots=True)
class Token:
    """Whose it is, and until when it is used (monotonic seconds)."""

    username: str
    text: str
    until: float


class RestQueue(Queue):
    """Asks it, with the newest version of its API that both know."""

    def __init__(self, address: str, helper: Helper, ca_file: Path | None = None) -> None:
        self._address, self._helper, self._ca_file = address, helper, ca_file
        self._version = ""
        self._token: Token | None = None
        self._renewing = asyncio.Lock()
        self._renewed = -AGAIN_S
        self._waiting: list[tuple[str, int, int]] = []

    async def jobs(self, wanted: Mapping[str, Wanted]) -> dict[str, Job]:
        """Workspace id → its job, of those that the scheduler knows."""
        found = listed((await self._ask(Jobs, "slurm", "jobs")).jobs)
        self._waiting = sorted(
            (str(row.partition), -(number(row.priority) or 0), row.job_id)
            for row in found
            if type(row.job_id) is int and slurm_api.state(row.job_state) == "PENDING"
        )
        return chosen(of_queue(row, wanted) for row in found)

    async def past(self, wanted: Mapping[str, Wanted]) -> dict[str, Job]:
        """The same of the accounting, for jobs that the scheduler has forgotten."""
        found: dict[str, Job] = {}
        names = sorted(wanted)
        for begin in range(0, len(names), AT_ONCE):
            some = {name: wanted[name] for name in names[begin : begin + AT_ONCE]}
            # A day of any time zone: a time would be read in slurmrestd's.
            since = datetime.fromtimestamp(min(each.asked for each in some.values()), UTC) - timedelta(days=1)
            said = await self._accounting(",".join(map(name_of, some)), since)
            found |= chosen(of_accounting(row, some) for row in said)
        return found

    async def _accounting(self, names: str, since: datetime) -> list[PastJob]:
        query = {"job_name": names, "start_time": f"{since:%Y-%m-%d}", "skip_steps": "true"}
        return listed((await self._ask(PastJobs, "slurmdb", "jobs", query, {slurm_api.NOTHING_FOUND})).jobs)

    async def forgotten(self, number: int) -> bool:
        """Whether the scheduler says in so many words that it has no such job."""
        try:
            await self._ask(Jobs, "slurm", f"job/{number}")
        except BackendUnavailable as error:
            said = error.__cause__.faults if isinstance(error.__cause__, Failed) else ()
            if said and all(fault == slurm_api.NO_SUCH_JOB for fault, _ in said):
                return True
            raise
        return False

    async def places(self, partition: str) -> Sequence[int]:
        """Of the list that `jobs` has had last: no question of its own."""
        return [job for name, _, job in self._waiting if name == partition]

    async def capacity(self, partition: str) -> Capacity:
        """Of the nodes that work."""
        cpus_free = cpus = free = memory = 0
        for row in listed((await self._ask(Nodes, "slurm", "nodes")).nodes):
            numbers = [number(each) for each in (row.cpus, row.alloc_cpus, row.real_memory, row.alloc_memory)]
            if not works(row, partition) or any(each is None for each in numbers):
                continue
            all_cpus, busy, all_memory, taken = (each or 0 for each in numbers)
            cpus, cpus_free = cpus + all_cpus, cpus_free + max(0, all_cpus - busy)
            memory, free = memory + all_memory * 2**20, free + max(0, all_memory - taken) * 2**20
        return Capacity(cpus_free, cpus, free, memory)

    def faults(self) -> Iterator[Fault]:
        """What does not answer."""
        questions: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
            "the queue": lambda: self._ask(Jobs, "slurm", "jobs"),
            "the nodes": lambda: self._ask(Nodes, "slurm", "nodes"),
            "the accounting": lambda: self._accounting(name_of("none"), datetime.now(UTC)),
        }
        for what, ask in questions.items():
            try:
                asyncio.run(ask())
            except ParasolError as error:
                mend = "See what the helper's log and slurmrestd's say; the helper's [slurm] needs its own rest."
                yield Fault("rest", f"slurmrestd does not tell of {what}: {error.__cause__ or error}.", mend)

    # --- asking

    async def _ask(
        self, kind: type[S], system: str, path: str, query: Mapping[str, str] | None = None,
        harmless: Set[int] = frozenset(),
    ) -> S:  # fmt: skip
        """An answer without errors, or only with harmless ones. A token that may be no longer good is renewed, once."""
        token = await self._signed(None)
        try:
            return await self._told(kind, system, path, query, token, harmless)
        except BackendUnavailable as error:
            known = isinstance(error.__cause__, Failed) and slurm_api.refuses(list(error.__cause__.faults))
            if known or not isinstance(error.__cause__, Failed) or time.monotonic() - self._renewed < AGAIN_S:
                raise
        self._renewed = time.monotonic()
        return await self._told(kind, system, path, query, await self._signed(token), harmless)

    async def _told(
        self, kind: type[S], system: str, path: str, query: Mapping[str, str] | None, token: Token,
        harmless: Set[int],
    ) -> S:  # fmt: skip
        version, answer = await self._answer(system, path, query, token)
        try:
            said: S = await answer.read(reader(kind))
            faults = [fault for fault in slurm_api.faults(said.errors) if fault[0] not in harmless]
        except (ParasolError, ValueError) as error:
            log.warning("slurmrestd, %s: its answer (%s) cannot be read: %s", path, answer.status, error)
            raise BackendUnavailable(AWAY) from Failed(f"status {answer.status}")
        if faults or answer.status >= 400:
            log.warning("slurmrestd, %s: %s %s", path, answer.status, faults)
            raise BackendUnavailable(AWAY) from Failed(f"status {answer.status}, {faults}", faults)
        self._version = version
        return said

    async def _answer(
        self, system: str, path: str, query: Mapping[str, str] | None, token: Token
    ) -> tuple[str, Answer]:
        headers = {"X-SLURM-USER-NAME": token.username, "X-SLURM-USER-TOKEN": token.text}
        unix = self._address.startswith("unix:")
        upstream = Upstream(
            "http://localhost" if unix else self._address, "scheduler", BOUNDS, ca_file=self._ca_file,
            socket=self._address.removeprefix("unix:") if unix else None,
        )  # fmt: skip
        try:
            for version in (*filter(None, [self._version]), *slurm_api.VERSIONS):
                answer = await upstream.send("GET", f"/{system}/{version}/{path}", query=query, headers=headers)
                if answer.status == 404 and not answer.body.lstrip().startswith(b"{"):
                    continue  # it does not have this version, or no longer
                return version, answer
        except ParasolError as error:
            raise BackendUnavailable(AWAY) from error
        finally:
            await upstream.close()
        raise BackendUnavailable(AWAY) from Failed("it speaks no version that is known here")

    async def _signed(self, bad: Token | None) -> Token:
        """A token that is not `bad`. One question at a time; the others wait for it."""
        async with self._renewing:
            now = time.monotonic()
            if self._token is None or self._token is bad or self._token.until <= now:
                self._token = None
                try:
                    said = await self._helper.ask("slurm_token")
                    text, username = said["token"], said["username"]
                    self._token = Token(str(username), str(text), now + float(said["seconds"]) / 2)
                except (ParasolError, KeyError, ValueError) as error:
                    raise BackendUnavailable(AWAY) from error
            return self._token
