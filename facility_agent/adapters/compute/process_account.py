"""Workspaces as processes of this machine, each as the person's account, through the helper (`isolation = "account"`).

A handle is the workspace's id. The helper keeps the record of what runs, out of reach of agent and account; the agent
keeps what it needs to reach it, and the ends that it has seen. Landlock confines the account's process to its own
folder, its home, the environment and the chosen proposals, beside what uid and groups allow.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import os
import stat
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facility_agent.adapters.compute.endings import ENDINGS
from facility_agent.adapters.compute.landlock import DEVICES, SYSTEM, program_folders
from facility_agent.adapters.compute.process_endpoint import answers
from facility_agent.adapters.compute.process_helper import Helper
from facility_agent.adapters.compute.process_records import (
    check_room,
    is_young,
    machine,
    observed_end,
    tail,
)
from facility_agent.adapters.compute.supervisor import read_record, write_json
from facility_agent.plugins import Fault
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
from shared.errors import BackendError, BackendUnavailable, InvalidRequest, ParasolError
from shared.workspaces import is_workspace_id

LOST = {"started": True, "stopped": False, "code": None, "lost": True}
NEVER = {"started": False, "stopped": True, "code": None}


@dataclass(frozen=True, slots=True)
class Means:
    """Where workspaces live, and how they are treated."""

    folder: Path
    grace_s: float
    readable: tuple[Path, ...] = ()


class AccountCompute(ComputeBackend):
    """One per agent and helper."""

    isolation = "account"
    detail = "On one machine; each workspace runs as its person's account."

    def __init__(self, means: Means, state: Path, helper: Helper) -> None:
        self._means, self._state, self._helper = means, state, helper
        self._ready: set[str] = set()
        self._one_write = threading.Lock()
        check_room(means.folder, "/run/s")

    def faults(self) -> Iterator[Fault]:
        """Whether the helper answers, and means the same folder."""
        try:
            said = asyncio.run(self._helper.ask("describe"))
        except ParasolError as error:
            what = f"{self._helper.path}: {error.message}"
            yield Fault("helper", what, "Start parasol-helper.service, and run this as the agent's user.")
            return
        if said.get("folder") != str(self._means.folder):
            mend = "Write the same absolute path into both files."
            yield Fault("folder", f"The helper's folder is {said.get('folder')}.", mend)

    # --- starting

    async def start(self, spec: StartSpec, account: Account) -> str:
        """Start it once; the same id again finds what was started."""
        name = spec.workspace_id
        if not is_workspace_id(name):
            raise InvalidRequest("This is no workspace's id.")
        place = self._means.folder / name
        fill = {"socket": str(place / "run" / "s"), "work": str(place / "work"), "secret": spec.secret}
        fill |= {"results": str(place / "work" / spec.task.results)} if spec.task else {}
        order = self._order(spec, account, fill)
        if _file(self._state, name, ".exit").exists():
            return name
        headers = [[key, filled(value, fill)] for key, value in spec.headers]
        known = {"socket": fill["socket"], "headers": headers, "uid": account.uid, "task": bool(spec.task)}
        try:
            await asyncio.to_thread(self._write, name, known)
        except OSError as error:
            raise BackendError("The facility could not prepare the workspace's folder.") from error
        try:
            await self._helper.ask("start", id=name, **order)
        except BackendUnavailable:
            raise  # it may run: it stays listed until it is known
        except ParasolError:
            _file(self._state, name, ".json").unlink(missing_ok=True)
            raise
        return name

    def _write(self, name: str, known: Mapping[str, Any]) -> None:
        with self._one_write:  # a start that was given up may still be writing
            write_json(_file(self._state, name, ".json"), known)

    def _order(self, spec: StartSpec, account: Account, fill: Mapping[str, str]) -> dict[str, Any]:
        command = [filled(word, fill) for word in spec.command]
        readable = [*SYSTEM, *program_folders(Path(command[0])), *self._means.readable]
        readable += [mount.folder for mount in spec.mounts if mount.read_only]
        writable = [DEVICES, account.home, *(mount.folder for mount in spec.mounts if not mount.read_only)]
        return {
            "username": account.username, "uid": account.uid, "gid": account.gid, "groups": list(account.groups),
            "home": str(account.home), "command": command, "memory": spec.flavour.memory, "cpus": spec.flavour.cpus,
            "variables": {key: filled(value, fill) for key, value in spec.variables},
            "mounts": [[mount.place, str(mount.folder), mount.read_only] for mount in spec.mounts],
            "readable": [str(path) for path in readable], "writable": [str(path) for path in writable],
            "grace_s": math.ceil(self._means.grace_s), "task": dataclasses.asdict(spec.task) if spec.task else None,
        }  # fmt: skip

    # --- looking

    async def inspect(self, handles: Sequence[str]) -> Mapping[str, Observation]:
        """One look at many: one question to the helper."""
        seen = dict.fromkeys(handles, Observation(RunState.GONE))
        open_ones = []
        for handle in seen:
            try:
                if is_workspace_id(handle) and _file(self._state, handle, ".json").exists():
                    ended = read_record(_file(self._state, handle, ".exit"))
                    seen[handle] = _end(ended) if ended else Observation(RunState.UNKNOWN)
                    open_ones += [] if ended else [handle]
            except (OSError, ValueError):
                seen[handle] = Observation(RunState.UNKNOWN)
        try:
            found = await self._look(open_ones)
        except ParasolError:
            return seen
        looks = await asyncio.gather(*(self._seen(handle, found[handle]) for handle in open_ones))
        return seen | dict(zip(open_ones, looks, strict=True))

    async def _look(self, handles: list[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for begin in range(0, len(handles), 1000):
            found |= await self._helper.ask("look", ids=handles[begin : begin + 1000])
        if not set(handles) <= found.keys():
            raise BackendUnavailable("The facility's helper does not say how workspaces stand.")
        return found

    async def _seen(self, handle: str, found: Mapping[str, Any]) -> Observation:
        try:
            if found["state"] in ("ended", "lost"):
                return _end(self._remember(handle, dict(found) if found["state"] == "ended" else LOST))
            if found["state"] == "none" and not is_young(self._state / handle):  # else it may be on its way there
                return Observation(RunState.GONE)
            if found["state"] == "runs" and (handle in self._ready or await self._answers(handle)):
                return Observation(RunState.RUNNING)
        except (OSError, ValueError, KeyError, ParasolError):
            return Observation(RunState.UNKNOWN)
        return Observation(RunState.STARTING)

    def _remember(self, handle: str, ended: Mapping[str, Any]) -> Mapping[str, Any]:
        self._ready.discard(handle)
        write_json(_file(self._state, handle, ".exit"), ended)
        return ended

    async def _answers(self, handle: str) -> bool:
        """Whether its endpoint answers; that is asked until it does for the first time."""
        known = read_record(_file(self._state, handle, ".json"))
        if known is not None and known.get("task"):
            self._ready.add(handle)
            return True
        if known is None or not _is_socket_of(known):
            return False
        if not os.access(known["socket"], os.W_OK):  # the account's program made it for the account alone
            await self._helper.ask("share", id=handle)
        if await answers(known["socket"], known["headers"], known["uid"]):
            self._ready.add(handle)
        return handle in self._ready

    # --- stopping and the rest

    async def stop(self, handle: str) -> None:
        """SIGTERM, then SIGKILL after the grace; returns when nothing of it runs any more."""
        if not is_workspace_id(handle) or not _file(self._state, handle, ".json").exists():
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._means.grace_s + 10
        try:
            while read_record(_file(self._state, handle, ".exit")) is None:
                found = await self._helper.ask("stop", id=handle)
                if found["state"] in ("ended", "lost"):
                    self._remember(handle, dict(found) if found["state"] == "ended" else LOST)
                elif found["state"] == "none" and not is_young(self._state / handle):
                    self._remember(handle, NEVER)
                elif loop.time() > deadline:
                    raise BackendError("The facility could not stop the workspace yet; it tries again.")
                else:
                    await asyncio.sleep(0.1)
        except (OSError, ValueError, KeyError) as error:
            raise BackendError("The facility cannot tell whether the workspace runs; it tries again.") from error

    async def list_owned(self) -> Mapping[str, str]:
        """Everything that was started here and whose end has not been seen."""
        try:
            known = [path.stem for path in self._state.glob("*.json") if is_workspace_id(path.stem)]
            return {name: name for name in known if not _file(self._state, name, ".exit").exists()}
        except OSError as error:
            raise BackendUnavailable("The facility cannot list its workspaces.") from error

    async def endpoint(self, handle: str) -> Endpoint | None:
        """Its Unix socket, the account's own, and the headers that let the proxy in."""
        if not is_workspace_id(handle) or _file(self._state, handle, ".exit").exists():
            return None
        try:
            known = read_record(_file(self._state, handle, ".json"))
            if known is None or known.get("task") or not _is_socket_of(known):
                return None
            return Endpoint(
                Path(known["socket"]), tuple((name, value) for name, value in known["headers"]), known["uid"]
            )
        except (OSError, ValueError, KeyError) as error:
            raise BackendError("The facility cannot tell where the workspace listens.") from error

    async def logs(self, handle: str) -> str:
        """The last 64 KiB of its output."""
        known = is_workspace_id(handle) and _file(self._state, handle, ".json").exists()
        return tail(self._means.folder / handle / "log") if known else ""

    async def capacity(self) -> Capacity:
        """Total CPUs and memory of this machine, and what is free of its memory."""
        return machine()


def _file(state: Path, name: str, ending: str) -> Path:
    return state / f"{name}{ending}"


def _end(ended: Mapping[str, Any]) -> Observation:
    if ended.get("lost"):
        return Observation(RunState.GONE, "NODE_LOST", ENDINGS["NODE_LOST"])
    return observed_end(ended)


def _is_socket_of(known: Mapping[str, Any]) -> bool:
    """Whether a socket of the workspace's account lies there: not a link to another one."""
    try:
        found = os.lstat(known["socket"])
    except FileNotFoundError:
        return False
    return stat.S_ISSOCK(found.st_mode) and found.st_uid == known["uid"]
