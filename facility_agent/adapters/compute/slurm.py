"""Workspaces as Slurm jobs of their people: submitted, cancelled and read through the helper, and looked at by the agent.

A handle is the workspace's id, and the job's name bears it; so a job is found again whatever became of an answer. What the agent
needs lies in `state`: `<id>.json` what was asked, `<id>.stop` why it was told to end, `<id>.exit` the end that was seen.
The job listens on a port of the site's range of the machine that *Slurm* names; what it wrote itself is compared, never followed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from facility_agent.adapters.compute import slurm_reasons
from facility_agent.adapters.compute.process_endpoint import answers
from facility_agent.adapters.compute.process_helper import Helper
from facility_agent.adapters.compute.slurm_looks import Looks, faults, jobs_of, queue_of
from facility_agent.adapters.compute.slurm_orders import address_of, begun, known_of, order_of, wanted_of
from facility_agent.adapters.compute.slurm_places import Places
from facility_agent.adapters.compute.slurm_queue import Job
from facility_agent.adapters.compute.slurm_records import Records, end_of, was_never_taken
from facility_agent.adapters.compute.slurm_settings import SlurmSettings
from facility_agent.plugins import Fault, Site
from facility_agent.ports.compute import (
    Capacity,
    ComputeBackend,
    Endpoint,
    Observation,
    RunState,
    StartSpec,
)
from facility_agent.ports.directory import Account
from shared.errors import BackendError, BackendUnavailable, IdentityRefused, InvalidRequest, ParasolError
from shared.workspaces import is_workspace_id

log = logging.getLogger(__name__)
ASK_S = 0.1
"""A workspace that starts is asked for its endpoint at most this often."""
SETTLES_S = 5.0
"""Slurm's first reason is not always its last."""
UNKNOWN, RUNNING = Observation(RunState.UNKNOWN), Observation(RunState.RUNNING)
SUSPENDED = Observation(RunState.UNKNOWN, "SCHEDULER_SUSPENDED", "The facility's scheduler has suspended it.")
NOT_ITS_OWN = "The workspace says in a way that cannot be trusted where it listens; stop it and start another."


class SlurmCompute(ComputeBackend):
    """One per agent and cluster."""

    isolation = "account"
    detail = "On the facility's cluster, as a Slurm job; each workspace runs as its person's account."

    def __init__(self, settings: SlurmSettings, state: Path, helper: Helper) -> None:
        self._settings, self._records, self._helper = settings, Records(state), helper
        self._queue = queue_of(settings, helper)
        self._places, self._looks = Places(self._queue), Looks(self._queue, settings.poll_s)
        self._starting: dict[str, asyncio.Lock] = {}
        self._ready: dict[str, tuple[str, int] | None] = {}  # tasks, which listen nowhere, with None
        self._never: dict[str, float] = {}
        self._asked: dict[str, tuple[float, Observation]] = {}

    def faults(self) -> Iterator[Fault]:
        """Whether the helper answers and does Slurm, and Slurm answers."""
        return faults(self._helper, self._queue)

    # --- starting

    async def start(self, spec: StartSpec, account: Account) -> str:
        """Submit it once; the same id again finds the job."""
        name, flavour = spec.workspace_id, spec.flavour
        if not is_workspace_id(name):
            raise InvalidRequest("This is no workspace's id.")
        if flavour.cpus < 1 or flavour.memory < 2**24 or spec.lifetime_s < 1:
            raise InvalidRequest("A workspace has at least one CPU, 16 MiB of memory and a second of time.")
        if account.uid < 1 or account.gid < 1:
            raise IdentityRefused
        async with self._starting.setdefault(name, asyncio.Lock()):
            return await self._start(spec, account)

    async def _start(self, spec: StartSpec, account: Account) -> str:
        name = spec.workspace_id
        try:
            known = await asyncio.to_thread(self._records.read, name, ".json")
            if self._records.file(name, ".exit").exists() or self._records.file(name, ".stop").exists():
                return name
            if known is not None and ("job" in known or name in await self._queue.jobs({name: wanted_of(known)})):
                return name
            known = {**known_of(spec, account), **(known or {}), "tried": time.time()}
            await asyncio.to_thread(self._records.write, name, ".json", known)
        except (OSError, ValueError, KeyError) as error:
            raise BackendUnavailable("The facility cannot read what it knows of this workspace.") from error
        return await self._submit(name, known, order_of(spec, account, self._settings))

    async def _submit(self, name: str, known: Mapping[str, Any], order: Mapping[str, Any]) -> str:
        try:
            answer = await self._helper.ask("slurm_submit", id=name, **order)
        except BackendUnavailable:
            raise  # it may be there: it stays listed until it is known
        except ParasolError:
            self._records.remove(name)
            raise
        if "job" not in answer:
            self._records.remove(name)
            log.warning("%s: Slurm refused it: %s", name, answer)
            why = str(answer.get("why") or "")
            raise BackendError(why) if why else slurm_reasons.refused(str(answer.get("refused")))
        with suppress(OSError):  # then it is found by its name
            await asyncio.to_thread(self._records.write, name, ".json", {**known, "job": answer["job"]})
        return name

    # --- looking

    async def inspect(self, handles: Sequence[str]) -> Mapping[str, Observation]:
        """One look at many: one question to the scheduler, and one to its accounting for what it has forgotten."""
        seen = dict.fromkeys(handles, Observation(RunState.GONE))
        open_ones: dict[str, dict[str, Any]] = {}
        for handle in seen:
            try:
                known, ended = self._records.known(handle)
                if known is not None:
                    seen[handle] = end_of(ended) if ended else UNKNOWN
                    open_ones |= {} if ended else {handle: known}
            except (OSError, ValueError):
                seen[handle] = UNKNOWN
        try:
            jobs, told = await self._looks.jobs(open_ones)
            await self._places.read([job for job in jobs.values() if job.state == "PENDING"])
        except ParasolError:
            return seen
        seen |= {name: self._told(name, job) or UNKNOWN for name, job in jobs.items()}
        # A task for each of a thousand would cost more than all that is known of them.
        asked = [name for name in jobs if seen[name] is UNKNOWN]
        looks = await asyncio.gather(*(self._seen(name, open_ones[name], jobs[name]) for name in asked))
        never = [name for name in told - jobs.keys() if was_never_taken(open_ones[name])]
        return seen | dict(zip(asked, looks, strict=True)) | dict.fromkeys(never, Observation(RunState.GONE))

    async def _seen(self, name: str, known: Mapping[str, Any], job: Job) -> Observation:
        try:
            if (seen := self._told(name, job)) is not None:
                return seen
            if job.ended:
                return end_of(self._remember(name, job))
            if job.state == "PENDING":
                return await self._waits_in_vain(name, job)
            return await self._answers(name, known, job)
        except (OSError, ValueError, KeyError, ParasolError):
            return UNKNOWN

    def _told(self, name: str, job: Job) -> Observation | None:
        """What Slurm's word alone says; None for what there is to ask or to do about it."""
        if job.state == "PENDING":
            said = slurm_reasons.waiting(job.reason)
            if said.never:
                return None
            self._never.pop(name, None)
            return self._queued(said, job)
        if job.ended:
            return None
        if job.state not in ("RUNNING", "CONFIGURING", "COMPLETING"):
            return SUSPENDED
        return RUNNING if name in self._ready else None

    def _queued(self, said: slurm_reasons.Said, job: Job) -> Observation:
        return Observation(RunState.QUEUED, said.code, self._places.told(job, said.sentence))

    async def _waits_in_vain(self, name: str, job: Job) -> Observation:
        said, now = slurm_reasons.waiting(job.reason), asyncio.get_running_loop().time()
        if now - self._never.setdefault(name, now) >= SETTLES_S:
            if not self._records.file(name, ".stop").exists():
                self._records.write(name, ".stop", {"reason": said.code, "message": said.sentence})
            await self._helper.ask("slurm_cancel", id=name)
        return self._queued(said, job)

    async def _answers(self, name: str, known: Mapping[str, Any], job: Job) -> Observation:
        """Whether its endpoint answers, or a task's program has begun; that is asked until it does for the first time."""
        now, starting = asyncio.get_running_loop().time(), Observation(RunState.STARTING)
        asked, before = self._asked.get(name, (-ASK_S, starting))
        if now - asked < ASK_S:
            return before
        self._asked[name] = now, starting
        try:
            found = await self._helper.ask("slurm_read", id=name, what="endpoint")
            if known.get("task"):
                ready, address = begun(found, job) is not None, None
            else:
                address = address_of(found, job, self._settings)
                ready = address is not None and await answers(address, known["headers"])
        except ValueError as error:
            log.warning("%s: its endpoint is refused: %s", name, error)
            refused = replace(starting, reason="ENDPOINT_REFUSED", message=NOT_ITS_OWN)
            self._asked[name] = now, refused
            return refused
        if not ready:
            return starting
        self._ready[name] = address
        return RUNNING

    def _remember(self, name: str, job: Job) -> Mapping[str, Any]:
        for known in (self._ready, self._never, self._asked, self._starting):
            known.pop(name, None)
        asked = self._records.read(name, ".stop")
        said = slurm_reasons.ended(job.state, job.exit_code)
        # Its time was agreed upon: at its end nothing has failed.
        ended = {
            "code": 0 if job.state == "TIMEOUT" else job.exit_code,
            "reason": said.code,
            "message": said.sentence,
        }
        if asked is not None:
            ended = {"code": job.exit_code or 0, **asked}
        self._records.write(name, ".exit", ended)
        return ended

    # --- stopping and the rest

    async def stop(self, handle: str) -> None:
        """Cancel it; returns when Slurm says that nothing of it runs any more."""
        try:
            known = self._records.read(handle, ".json")
            if known is None:
                return
            if not self._records.file(handle, ".stop").exists():
                self._records.write(handle, ".stop", {"reason": "", "message": ""})
            loop = asyncio.get_running_loop()
            deadline = loop.time() + self._settings.stop_within_s
            while self._records.read(handle, ".exit") is None:
                await self._helper.ask("slurm_cancel", id=handle)
                if await self._has_ended(handle, known):
                    return
                if loop.time() > deadline:
                    raise BackendError("The facility could not stop the workspace yet; it tries again.")
                await asyncio.sleep(0.25)
        except (OSError, ValueError, KeyError) as error:
            raise BackendError("The facility cannot tell whether the workspace runs; it tries again.") from error

    async def _has_ended(self, name: str, known: Mapping[str, Any]) -> bool:
        jobs, told = await jobs_of({name: known}, self._queue)
        job = jobs.get(name)
        if job is None and name in told:
            known = self._records.read(name, ".json") or known
            gone = await self._queue.forgotten(known["job"]) if "job" in known else was_never_taken(known)
            job = Job(known.get("job", 0), "CANCELLED") if gone else None
        if job is None or not job.ended:
            return False
        self._remember(name, job)
        return True

    async def list_owned(self) -> Mapping[str, str]:
        """Everything that was asked for here and whose end has not been seen."""
        try:
            return self._records.owned()
        except OSError as error:
            raise BackendUnavailable("The facility cannot list its workspaces.") from error

    async def endpoint(self, handle: str) -> Endpoint | None:
        """Host and port, and the headers that let the proxy in."""
        try:
            known, ended = self._records.known(handle)
            if known is None or ended is not None or known.get("task"):
                return None
            if handle not in self._ready:
                job = (await jobs_of({handle: known}, self._queue))[0].get(handle)
                if (
                    job is None
                    or job.ended
                    or await self._seen(handle, known, job) != Observation(RunState.RUNNING)
                ):
                    return None
            headers = tuple((name, value) for name, value in known["headers"])
            return Endpoint(None, headers, address=self._ready[handle])
        except (OSError, ValueError, KeyError) as error:
            raise BackendError("The facility cannot tell where the workspace listens.") from error

    async def logs(self, handle: str) -> str:
        """The last 64 KiB of its output."""
        if not is_workspace_id(handle) or not self._records.file(handle, ".json").exists():
            return ""
        found = await self._helper.ask("slurm_read", id=handle, what="log")
        return str(found.get("text", "")).encode()[-64 * 1024 :].decode(errors="ignore")

    async def capacity(self) -> Capacity:
        """Of the default partition, as Slurm says it."""
        return await self._queue.capacity(self._settings.default.partition or "")


class SlurmPlugin:
    """The adapter `slurm`."""

    settings = SlurmSettings

    @staticmethod
    def build(settings: SlurmSettings, site: Site) -> ComputeBackend:
        """The adapter."""
        return SlurmCompute(settings, site.state, Helper(site.config_folder / settings.helper))
