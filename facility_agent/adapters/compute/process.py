"""Workspaces as processes of this machine, each with a process group, limits and a folder of its own.

Everything runs as the agent's own user: that must be said in the settings (`isolation = "none"`), and the portal
shows it; `process_account` is the other half. Where the kernel has Landlock a workspace can write only below its own folder and read only the system, its
environment and its proposals; without it a proposal is mounted only when this user cannot write it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from facility_agent.adapters.compute import landlock, packages, supervisor, tasks
from facility_agent.adapters.compute.endings import ENDINGS
from facility_agent.adapters.compute.process_account import AccountCompute, Means
from facility_agent.adapters.compute.process_endpoint import answers
from facility_agent.adapters.compute.process_helper import Helper
from facility_agent.adapters.compute.process_records import (
    check_room,
    is_young,
    machine,
    observed_end,
    reaper,
    tail,
)
from facility_agent.adapters.compute.process_settings import ProcessSettings
from facility_agent.adapters.compute.supervisor import is_alive, is_locked, read_record, show
from facility_agent.plugins import Site
from facility_agent.ports.compute import (
    Capacity,
    ComputeBackend,
    Endpoint,
    Observation,
    RunState,
    StartSpec,
    filled,
)
from facility_agent.ports.directory import Account
from shared.errors import BackendError, BackendUnavailable, IdentityRefused, InvalidRequest
from shared.workspaces import is_workspace_id


class ProcessCompute(ComputeBackend):
    """A handle is the workspace's id; what is known of it lies in files below `state`, closed to workspaces."""

    isolation = "none"

    def __init__(
        self, settings: ProcessSettings, state: Path, folder: Path, own_packages: Path | None = None
    ) -> None:
        self._settings, self._state, self._folder, self._own_packages = settings, state, folder, own_packages
        self._ready: set[str] = set()
        self._one_start = threading.Lock()
        self._sandbox = landlock.abi_version() > 0
        check_room(folder, "/s")

    @property
    def detail(self) -> str:
        """How workspaces are kept apart, for people."""
        return (
            "On one machine; each workspace is confined to its own folder by the kernel (Landlock)."
            if self._sandbox
            else "On one machine; the kernel offers no confinement (Landlock)."
        )

    # --- starting

    async def start(self, spec: StartSpec, account: Account) -> str:
        """Start it once; the same id again finds what was started."""
        if os.getuid() == 0:
            raise IdentityRefused("The facility's agent runs as root and therefore starts nothing.")
        if not is_workspace_id(spec.workspace_id):
            raise InvalidRequest("This is no workspace's id.")
        return await asyncio.to_thread(self._start, spec, account)

    def _start(self, spec: StartSpec, account: Account) -> str:
        with self._one_start:
            return self._start_one(spec, account)

    def _start_one(self, spec: StartSpec, account: Account) -> str:
        meta, home = self._meta(spec.workspace_id), self._folder / spec.workspace_id
        if meta.with_suffix(".run").exists() or meta.with_suffix(".exit").exists() or is_locked(meta):
            return spec.workspace_id
        work = home / "work"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (home, work, work / "proposals", work / "scratch", home / "tmp"):
                folder.mkdir(mode=0o700, exist_ok=True)
            self._mount(spec, work)
            fill = {"socket": str(home / "s"), "work": str(work), "secret": spec.secret}
            if spec.task:
                fill["results"] = str(tasks.begin(work / spec.task.results, spec.task.facts))
                show(home / "log", Path(fill["results"]) / tasks.LOG)
            headers = [[name, filled(value, fill)] for name, value in spec.headers]
            known = {"socket": str(home / "s"), "headers": headers, "task": bool(spec.task)}
            supervisor.write_json(meta.with_suffix(".json"), known)
            own = self._packages(account)
            self._spawn(self._order(spec, meta, home, fill, own))
        except OSError as error:
            raise BackendError("The facility could not prepare the workspace's folder.") from error
        return spec.workspace_id

    def _mount(self, spec: StartSpec, work: Path) -> None:
        given = [mount.folder for mount in spec.mounts if not mount.read_only]
        for mount in spec.mounts:
            if mount.read_only and not landlock.protects(mount.folder, given, landlock.abi_version()):
                raise BackendError("The facility cannot mount a proposal read-only on this machine.")
            show(work / mount.place, mount.folder)

    def _packages(self, account: Account) -> Mapping[str, str]:
        if self._own_packages is None:
            return {}
        name = hashlib.sha256(account.immutable_id.encode()).hexdigest()[:32]
        return packages.prepared(self._own_packages / name)

    def _order(
        self, spec: StartSpec, meta: Path, home: Path, fill: Mapping[str, str], own: Mapping[str, str]
    ) -> dict[str, Any]:
        command = [filled(word, fill) for word in spec.command]
        path = f"{Path(command[0]).parent}:/usr/local/bin:/usr/bin:/bin"
        variables = {
            "PATH": packages.after(path, own), "HOME": fill["work"], "LANG": "C.UTF-8", "TMPDIR": str(home / "tmp"), **own,
            **{name: filled(value, fill) for name, value in spec.variables},
        }  # fmt: skip
        program = Path(command[0])
        readable = [*landlock.SYSTEM, *landlock.program_folders(program), *self._settings.readable]
        mounted = [mount.folder for mount in spec.mounts if mount.read_only]
        writable = [
            home,
            landlock.DEVICES,
            *packages.folders(own),
            *(mount.folder for mount in spec.mounts if not mount.read_only),
        ]
        return {
            "meta": str(meta), "command": command, "variables": variables, "work": fill["work"],
            "log": str(home / "log"), "umask": tasks.UMASK if spec.task else 0o077, "grace_s": self._settings.grace_s, "cpus": spec.flavour.cpus,
            "memory": spec.flavour.memory, "sandbox": self._sandbox,
            "readable": [str(path) for path in readable], "mounted": [str(path) for path in mounted], "writable": [str(path) for path in writable],
        }  # fmt: skip

    def _spawn(self, order: Mapping[str, Any]) -> None:
        import subprocess

        with Path(order["log"]).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", supervisor.__file__], stdin=subprocess.PIPE, stdout=log, stderr=log,
                start_new_session=True, close_fds=True, cwd="/", env={"PATH": "/usr/bin:/bin"},
            )  # fmt: skip
            assert process.stdin is not None
            process.stdin.write(json.dumps(order).encode())
            process.stdin.close()
        reaper.add(process)

    # --- looking

    async def inspect(self, handles: Sequence[str]) -> Mapping[str, Observation]:
        """One look at many."""
        looks = await asyncio.gather(*(self._inspect(handle) for handle in handles))
        reaper.collect()
        return dict(zip(handles, looks, strict=True))

    async def _inspect(self, handle: str) -> Observation:
        if not is_workspace_id(handle) or not self._meta(handle).with_suffix(".json").exists():
            return Observation(RunState.GONE)
        try:
            observed = self._look(handle)
            if observed.state is RunState.STARTING and await self._answers(handle):
                return Observation(RunState.RUNNING)
        except (OSError, ValueError, KeyError):
            return Observation(RunState.UNKNOWN)
        return observed

    def _look(self, handle: str) -> Observation:
        meta = self._meta(handle)
        running = read_record(meta.with_suffix(".run"))
        # Between the order and the supervisor's first word; it holds its lock as soon as it runs.
        there = is_locked(meta) or is_young(meta) if running is None else is_alive(running)
        ended = read_record(meta.with_suffix(".exit"))  # last: a supervisor writes it before it goes
        if ended is not None:
            self._ready.discard(handle)
            return observed_end(ended)
        if running is None:
            return Observation(RunState.STARTING if there else RunState.GONE)
        if not there:
            self._ready.discard(handle)
            return Observation(RunState.GONE, "NODE_LOST", ENDINGS["NODE_LOST"])
        if handle not in self._ready and (read_record(meta.with_suffix(".json")) or {}).get("task"):
            self._ready.add(handle)
        return Observation(RunState.RUNNING if handle in self._ready else RunState.STARTING)

    async def _answers(self, handle: str) -> bool:
        """Whether its endpoint answers; that is asked until it does for the first time."""
        known = read_record(self._meta(handle).with_suffix(".json"))
        if known is None or not os.path.exists(known["socket"]):  # noqa: ASYNC240, PTH110 (one stat, no wait)
            return False
        if await answers(known["socket"], known["headers"]):
            self._ready.add(handle)
        return handle in self._ready

    # --- stopping and the rest

    async def stop(self, handle: str) -> None:
        """SIGTERM, then SIGKILL after the grace; returns when nothing of it runs any more."""
        if not is_workspace_id(handle):
            return
        loop, told = asyncio.get_running_loop(), False
        deadline = loop.time() + self._settings.grace_s + 10
        try:
            while (running := self._still_runs(self._meta(handle))) is not None:
                if running and not told:
                    with suppress(ProcessLookupError):  # it has ended meanwhile: the next look sees it
                        os.kill(running["pid"], signal.SIGTERM)
                    told = True
                if loop.time() > deadline:
                    raise BackendError("The facility could not stop the workspace yet; it tries again.")
                await asyncio.sleep(0.05)
        except (OSError, ValueError, KeyError) as error:
            raise BackendError("The facility cannot tell whether the workspace runs; it tries again.") from error
        self._ready.discard(handle)
        reaper.collect()

    def _still_runs(self, meta: Path) -> dict[str, Any] | None:
        """Its record, empty before its supervisor's first word, None when nothing of it runs any more."""
        running = read_record(meta.with_suffix(".run"))
        if meta.with_suffix(".exit").exists() or (running is not None and not is_alive(running)):
            return None
        if running is None and not is_locked(meta) and not is_young(meta):
            return None
        return running or {}

    async def list_owned(self) -> Mapping[str, str]:
        """Everything that was started here and has not recorded its end."""
        try:
            known = [path.stem for path in self._state.glob("*.json")]
        except OSError as error:
            raise BackendUnavailable("The facility cannot list its workspaces.") from error
        return {w: w for w in known if is_workspace_id(w) and not self._meta(w).with_suffix(".exit").exists()}

    async def endpoint(self, handle: str) -> Endpoint | None:
        """Its Unix socket and the headers that let the proxy in."""
        if not is_workspace_id(handle) or self._meta(handle).with_suffix(".exit").exists():
            return None
        try:
            known = read_record(self._meta(handle).with_suffix(".json"))
        except (OSError, ValueError) as error:
            raise BackendError("The facility cannot tell where the workspace listens.") from error
        if known is None or known.get("task") or not os.path.exists(known["socket"]):  # noqa: ASYNC240, PTH110 (one stat, no wait)
            return None
        return Endpoint(Path(known["socket"]), tuple((name, value) for name, value in known["headers"]))

    async def logs(self, handle: str) -> str:
        """The last 64 KiB of its output."""
        return tail(self._folder / handle / "log") if is_workspace_id(handle) else ""

    async def capacity(self) -> Capacity:
        """Total CPUs and memory of this machine, and what is free of its memory."""
        return machine()

    def _meta(self, workspace_id: str) -> Path:
        return self._state / workspace_id


class ProcessPlugin:
    """The adapter `process`."""

    settings = ProcessSettings

    @staticmethod
    def build(settings: ProcessSettings, site: Site) -> ComputeBackend:
        """The adapter. Raises ValueError for a folder that cannot hold Unix sockets."""
        folder = site.config_folder / settings.folder
        if settings.isolation == "account":
            helper = Helper(site.config_folder / settings.helper)
            means = Means(folder, settings.grace_s, settings.readable)
            return AccountCompute(means, site.state, helper)
        own = site.config_folder / settings.packages if settings.packages else None
        return ProcessCompute(settings, site.state, folder, own)
