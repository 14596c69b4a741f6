"""What Slurm says of jobs: one `squeue` for all, one `sacct` for those that it has forgotten, as the agent's own user.

Jobs are asked for by name, and only lines that bear exactly one of these names count: a person may name a job of theirs
as they like, but not so that it speaks for another's. Neither command needs a privilege.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from facility_agent.ports.compute import Capacity
from shared.errors import BackendUnavailable

log = logging.getLogger(__name__)
WITHIN_S, LONGEST, AT_ONCE = 15.0, 32 * 2**20, 1000
AWAY = "The facility's scheduler does not answer at the moment."
FIELDS = ("jobid", "userid", "name", "state", "exit_code", "batchhost", "starttime", "partition", "reason")
ACCOUNTING = "JobIDRaw,User,JobName,State,ExitCode"
ENDS = frozenset({
    "COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY",
    "REVOKED",
})  # fmt: skip
"""After these nothing of a job runs any more. COMPLETING is none of them: its processes may still be there."""
HAS_RUN = 75
"""The exit code of a second job for a workspace."""


class Failed(Exception):
    """A command failed and printed this: the cause of a BackendUnavailable."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job. `host` is the machine that the scheduler gave it; `exit_code` as a shell has it."""

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


def name_of(workspace_id: str) -> str:
    """A workspace's name as a job."""
    return f"parasol-{workspace_id}"


class Queue:
    """Asks them. `programs` is the folder of Slurm's commands; the environment is made new."""

    def __init__(self, programs: str, conf: str) -> None:
        self._programs = programs
        self._environment = {
            "PATH": "/usr/bin:/bin",
            "TZ": "UTC",
            "LANG": "C.UTF-8",
            "SLURM_TIME_FORMAT": "standard",
        }
        if conf:
            self._environment["SLURM_CONF"] = conf

    async def jobs(self, wanted: Mapping[str, Wanted]) -> dict[str, Job]:
        """Workspace id → its job, of those that the scheduler knows. Raises BackendUnavailable: then nothing is known."""
        found: dict[str, Job] = {}
        names = sorted(wanted)
        for begin in range(0, len(names), AT_ONCE):
            some = {name: wanted[name] for name in names[begin : begin + AT_ONCE]}
            form = ",".join(f"{field}:|" for field in FIELDS)
            which = ",".join(map(name_of, some))
            said = await self.ask("squeue", "--noheader", "--states=all", f"--name={which}", f"--Format={form}")
            found |= _chosen(_of_squeue(line, some) for line in said.splitlines())
        return found

    async def past(self, wanted: Mapping[str, Wanted]) -> dict[str, Job]:
        """The same of the accounting, for jobs that the scheduler has forgotten."""
        found: dict[str, Job] = {}
        names = sorted(wanted)
        for begin in range(0, len(names), AT_ONCE):
            some = {name: wanted[name] for name in names[begin : begin + AT_ONCE]}
            oldest = min(each.asked for each in some.values())
            since = datetime.fromtimestamp(oldest, UTC) - timedelta(hours=1)
            said = await self.ask(
                "sacct", "--noheader", "--parsable2", "--allocations", "--allusers", f"--format={ACCOUNTING}",
                f"--name={','.join(map(name_of, some))}", f"--starttime={since:%Y-%m-%dT%H:%M:%S}",
            )  # fmt: skip
            found |= _chosen(_of_sacct(line, some) for line in said.splitlines())
        return found

    async def forgotten(self, number: int) -> bool:
        """Whether the scheduler says in so many words that it has no such job. Raises BackendUnavailable."""
        try:
            return not (await self.ask("squeue", "--noheader", f"--jobs={number}", "--states=all")).strip()
        except BackendUnavailable as error:
            if isinstance(error.__cause__, Failed) and "Invalid job id" in str(error.__cause__):
                return True
            raise

    async def places(self, partition: str) -> Sequence[int]:
        """The jobs that wait in a partition, those with the highest priority first."""
        said = await self.ask(
            "squeue",
            "--noheader",
            "--states=PENDING",
            f"--partition={partition}",
            "--sort=-p,i",
            "--Format=jobid:|",
        )
        return [int(line.strip("| ")) for line in said.splitlines() if line.strip("| ").isdigit()]

    async def capacity(self, partition: str) -> Capacity:
        """Of the nodes that work."""
        which = [f"--partition={partition}"] if partition else []
        form = "--Format=NodeList:|,CPUsState:|,Memory:|,AllocMem:|"
        said = await self.ask("sinfo", "--noheader", "--Node", "--responding", *which, form)
        cpus_free = cpus = free = memory = 0
        for line in set(said.splitlines()):  # a node stands there once for each of its partitions
            parts = line.split("|")
            states = parts[1].split("/") if len(parts) > 3 else []
            if len(states) == 4 and all(each.isdigit() for each in (*states, parts[2], parts[3])):
                cpus_free += int(states[1])
                cpus += int(states[0]) + int(states[1])
                memory += int(parts[2]) * 2**20
                free += max(0, int(parts[2]) - int(parts[3])) * 2**20
        return Capacity(cpus_free, cpus, free, memory)

    async def ask(self, program: str, *arguments: str) -> str:
        """What a command prints. Raises BackendUnavailable when it fails, is too slow or says too much."""
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(
                f"{self._programs}/{program}", *arguments, stdin=null, stdout=pipe, stderr=pipe,
                env=self._environment, cwd="/", start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise BackendUnavailable(AWAY) from error
        assert process.stdout is not None
        assert process.stderr is not None
        reading = [asyncio.ensure_future(_read(stream)) for stream in (process.stdout, process.stderr)]
        try:
            async with asyncio.timeout(WITHIN_S):
                out, err = await asyncio.gather(*reading)
                code = await process.wait()
        except (TimeoutError, ValueError) as error:
            log.warning("%s did not answer: %s", program, error or "too slow")
            raise BackendUnavailable(AWAY) from error
        finally:
            for each in reading:
                each.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
            if process.returncode is None:
                await _end(process)
        if code != 0:
            log.warning("%s failed: %s", program, err[:500])
            raise BackendUnavailable(AWAY) from Failed(err)
        return out


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill it and what it started; its end is not seen before its pipes are empty."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(5):
            await asyncio.gather(*(_drain(stream) for stream in (process.stdout, process.stderr) if stream))
            await process.wait()


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(65536):
        pass


async def _read(stream: asyncio.StreamReader) -> str:
    whole = bytearray()
    while part := await stream.read(65536):
        whole += part
        if len(whole) > LONGEST:
            raise ValueError("its answer is too long")
    return whole.decode(errors="replace")


def _of_squeue(line: str, wanted: Mapping[str, Wanted]) -> tuple[str, Job] | None:
    parts = line.split("|", len(FIELDS) - 1)
    if len(parts) != len(FIELDS):
        return None
    number, uid, name, state, code, host, start, partition, reason = parts
    known = wanted.get(name.removeprefix("parasol-"))
    if known is None or name == name.removeprefix("parasol-") or uid != str(known.uid) or not number.isdigit():
        return None
    host = host if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}", host) else ""
    job = Job(int(number), state, _exit_code(code), host, start, partition, reason.strip("| "))
    return name.removeprefix("parasol-"), job


def _of_sacct(line: str, wanted: Mapping[str, Wanted]) -> tuple[str, Job] | None:
    parts = line.split("|")
    if len(parts) != 5 or not parts[0].isdigit():
        return None
    number, username, name, state, code = parts
    known = wanted.get(name.removeprefix("parasol-"))
    if known is None or name == name.removeprefix("parasol-") or username != known.username or not state:
        return None
    return name.removeprefix("parasol-"), Job(int(number), state.split()[0], _exit_code(code))


def _exit_code(text: str) -> int | None:
    """Of sacct's "code:signal", or of the status as `wait` has it, which squeue prints."""
    code, colon, number = text.partition(":")
    if not code.isdigit() or (colon and not number.isdigit()):
        return None
    if not colon:
        code, number = str(int(code) >> 8 & 0xFF), str(int(code) & 0x7F)
    return 128 + int(number) if int(number) else int(code)


def _chosen(pairs: Iterable[tuple[str, Job] | None]) -> dict[str, Job]:
    """Of several for one workspace, the one that lives or, at the end, the one that ran."""
    found: dict[str, Job] = {}
    for name, job in filter(None, pairs):
        other = found.get(name)
        if other is None or _rank(job) < _rank(other):
            found[name] = job
    return found


def _rank(job: Job) -> tuple[bool, bool, int]:
    return job.ended, job.exit_code == HAS_RUN, job.number
