"""The queue by Slurm's commands: one `squeue` for all, one `sacct` for those that it has forgotten, as the agent's own user.

None of the commands needs a privilege.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from facility_agent.adapters.compute.slurm_api import exit_code
from facility_agent.adapters.compute.slurm_queue import AWAY, Job, Queue, Wanted, chosen, host_of, id_of, name_of
from facility_agent.plugins import Fault
from facility_agent.ports.compute import Capacity
from shared.errors import BackendUnavailable

log = logging.getLogger(__name__)
WITHIN_S, LONGEST, AT_ONCE = 15.0, 32 * 2**20, 1000
FIELDS = ("jobid", "userid", "name", "state", "exit_code", "batchhost", "starttime", "partition", "reason")
ACCOUNTING = "JobIDRaw,User,JobName,State,ExitCode"


class Failed(Exception):
    """A command failed and printed this: the cause of a BackendUnavailable."""


class CommandQueue(Queue):
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
        """Workspace id → its job, of those that the scheduler knows."""
        found: dict[str, Job] = {}
        names = sorted(wanted)
        for begin in range(0, len(names), AT_ONCE):
            some = {name: wanted[name] for name in names[begin : begin + AT_ONCE]}
            form = ",".join(f"{field}:|" for field in FIELDS)
            which = ",".join(map(name_of, some))
            said = await self.ask("squeue", "--noheader", "--states=all", f"--name={which}", f"--Format={form}")
            found |= chosen(_of_squeue(line, some) for line in said.splitlines())
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
            found |= chosen(_of_sacct(line, some) for line in said.splitlines())
        return found

    async def forgotten(self, number: int) -> bool:
        """Whether the scheduler says in so many words that it has no such job."""
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

    def faults(self) -> Iterator[Fault]:
        """What does not answer."""
        for program in ("squeue", "sinfo", "sacct"):
            try:
                asyncio.run(self.ask(program, "--noheader"))
            except BackendUnavailable:
                mend = f"Run {self._programs}/{program} as the agent's user, and see what it says."
                yield Fault("programs", f"{program} does not answer.", mend)

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
    found = _read_squeue(line)
    known = wanted.get(found[0]) if found else None
    return (found[0], found[2]) if found and known and found[1] == str(known.uid) else None


@functools.lru_cache(maxsize=4096)  # most lines are as they were a look before
def _read_squeue(line: str) -> tuple[str, str, Job] | None:
    """(workspace, uid, job) of a line that is one."""
    parts = line.split("|", len(FIELDS) - 1)
    if len(parts) != len(FIELDS):
        return None
    number, uid, name, state, code, host, start, partition, reason = parts
    workspace = id_of(name)
    if workspace is None or not number.isdigit():
        return None
    job = Job(int(number), state, _exit_code(code), host_of(host), start, partition, reason.strip("| "))
    return workspace, uid, job


def _of_sacct(line: str, wanted: Mapping[str, Wanted]) -> tuple[str, Job] | None:
    parts = line.split("|")
    if len(parts) != 5 or not parts[0].isdigit():
        return None
    number, username, name, state, code = parts
    workspace = id_of(name)
    known = wanted.get(workspace) if workspace else None
    if workspace is None or known is None or username != known.username or not state:
        return None
    return workspace, Job(int(number), state.split()[0], _exit_code(code))


def _exit_code(text: str) -> int | None:
    """Of sacct's "code:signal", or of the status as `wait` has it, which squeue prints."""
    code, colon, number = text.partition(":")
    if not code.isdigit() or (colon and not number.isdigit()):
        return None
    if not colon:
        return exit_code(int(code))
    return 128 + int(number) if int(number) else int(code)
