"""Workspaces as pods of a Kubernetes cluster, each with the account's own uid, gid and groups and never root.

Three watches (pods, events; nodes are asked) keep what the cluster says in memory, so a look costs no call. What the
watches cannot tell is UNKNOWN; a pod is gone when the server itself said so.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import defaultdict
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any

from facility_agent.adapters.compute import kubernetes_nodes as nodes
from facility_agent.adapters.compute import kubernetes_objects as objects
from facility_agent.adapters.compute.kubernetes_api import AWAY, KubernetesApi
from facility_agent.adapters.compute.kubernetes_making import Maker
from facility_agent.adapters.compute.kubernetes_reasons import judge, removed, said
from facility_agent.adapters.compute.kubernetes_records import Record, Records
from facility_agent.adapters.compute.kubernetes_relay import Relay, is_pod_address
from facility_agent.adapters.compute.kubernetes_settings import KubernetesSettings
from facility_agent.adapters.compute.kubernetes_watch import Mirror, warnings_of
from facility_agent.adapters.compute.process_endpoint import answers
from facility_agent.adapters.compute.process_records import check_room, tail
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
from shared.errors import BackendError, BackendUnavailable, InvalidRequest, ParasolError
from shared.workspaces import is_workspace_id

log = logging.getLogger(__name__)
FIRST_S, NODES_S, TIDY_S = 8.0, 60.0, 60.0
UNKNOWN = Observation(RunState.UNKNOWN)


class KubernetesCompute(ComputeBackend):
    """A handle is the workspace's id. Works from its first call on; enter and leave it, so that its watches end."""

    isolation = "account"
    detail = (
        "On the facility's Kubernetes cluster; each workspace is a pod of its own with the account's identity."
    )

    def __init__(self, settings: KubernetesSettings, owner: str, records: Records, api: KubernetesApi) -> None:
        check_room(records.folder, ".s")
        self._settings, self._records, self._api = settings, records, api
        self._maker = Maker(api, settings, owner)
        self.pods = Mirror(api, self._maker.pods, {"labelSelector": objects.selector(owner)})
        self.warnings = Mirror(api, self._maker.events, {"fieldSelector": "involvedObject.kind=Pod,type=Warning"})
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._relays: dict[str, Relay] = {}
        self._ready: set[str] = set()
        self._failing: dict[str, tuple[str, float]] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._watches: list[asyncio.Task[None]] = []
        self._nodes: tuple[float, list[Any]] | None = None
        self._beginning = asyncio.Lock()

    async def __aenter__(self) -> KubernetesCompute:
        await self._begun()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave everything in the cluster as it is."""
        tasks = [*self._watches, *self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(relay.close() for relay in self._relays.values()))
        await self._api.close()

    async def _begun(self) -> None:
        async with self._beginning:
            if not self._watches:
                await self._records.load()
                runs = (self.pods.run(), self.warnings.run(), self._tidy_again())
                self._watches = [asyncio.create_task(run) for run in runs]

    async def _known(self) -> bool:
        """Whether what the mirror lacks is gone."""
        await self._begun()
        return await self.pods.listed(FIRST_S) and self.pods.believed

    # --- starting

    async def start(self, spec: StartSpec, account: Account) -> str:
        """Start it once; the same id again finds what was started."""
        if not is_workspace_id(spec.workspace_id):
            raise InvalidRequest("This is no workspace's id.")
        await self._begun()
        there, known = await self._asked_nodes()
        plan = self._maker.planned(spec, account, there, known=known)
        async with self._locks[spec.workspace_id]:
            await self._start(spec, plan)
        return spec.workspace_id

    async def _start(self, spec: StartSpec, plan: tuple[tuple[str, dict[str, Any]], ...]) -> None:
        name, record = spec.workspace_id, self._records.get(spec.workspace_id)
        if record is not None and record.ended is not None:
            return
        found = await self._maker.find(name)
        if found is None and record is not None and (record.made or record.stopping):
            await self._ended(name, said("REMOVED"))
            return
        if record is None or not record.headers:
            headers = tuple((key, filled(value, {"secret": spec.secret})) for key, value in spec.headers)
            record = await self._records.put(name, Record(headers))
        if found is None:
            try:
                found = await self._maker.make(plan)
            except ParasolError as error:
                # It may have had its effect all the same: what is recorded as ended is removed whenever it is seen.
                why = Observation(RunState.GONE, error.reason, error.message)
                await self._records.change(name, ended=why, untidy=True)
                self._spawn(name, self._clear(name))
                raise
        self.pods.put(found)
        await self._records.change(name, made=True)

    async def _asked_nodes(self) -> tuple[list[Any], bool]:
        """The nodes, at most a minute old; and whether they are known at all."""
        now = asyncio.get_running_loop().time()
        if self._nodes is None or now - self._nodes[0] > NODES_S:
            try:
                self._nodes = (now, await self._maker.nodes())
            except BackendUnavailable:
                raise
            except ParasolError:
                self._nodes = (now, [])
        return self._nodes[1], bool(self._nodes[1])

    # --- looking

    async def inspect(self, handles: Sequence[str]) -> Mapping[str, Observation]:
        """One look at many, in memory; only what is not known to answer yet is asked."""
        await self._known()
        looks = await asyncio.gather(*(self._inspect(handle) for handle in handles))
        return dict(zip(handles, looks, strict=True))

    async def _inspect(self, handle: str) -> Observation:
        if not is_workspace_id(handle):
            return Observation(RunState.GONE)
        record = self._records.get(handle)
        if record is not None and record.ended is not None:
            return record.ended
        if not self.pods.believed:
            return UNKNOWN
        pod = self.pods.objects.get(objects.name_of(handle))
        try:
            if pod is None:
                return self._absent(handle, record)
            return await self._look(handle, pod)
        except (KeyError, TypeError, ValueError, AttributeError):
            log.exception("a pod could not be read")
            return UNKNOWN

    def _absent(self, handle: str, record: Record | None) -> Observation:
        if record is None or not (record.made or record.stopping):
            return Observation(RunState.GONE)
        last = self.pods.gone.get(objects.name_of(handle))
        if record.stopping:
            seen = Observation(RunState.GONE, exit_code=_exit_code(last))
        else:
            seen = removed(last) if last is not None else said("REMOVED")
        self._spawn(handle, self._ended(handle, seen))
        return seen

    async def _look(self, handle: str, pod: dict[str, Any]) -> Observation:
        judged = judge(pod, warnings_of(self.warnings.objects, pod["metadata"]["uid"]))
        seen = judged.seen
        if seen.state is RunState.GONE:
            record = self._records.get(handle)
            if record is not None and record.stopping:
                return Observation(RunState.STARTING)  # its end was asked for, and `stop` says when that is so
            self._spawn(handle, self._finish(handle, seen))
        elif judged.failing:
            if judged.at_once or self._fails_long(handle, judged.failing):
                self._spawn(handle, self._give_up(handle, pod, said(judged.failing)))
        else:
            self._failing.pop(handle, None)
        if seen.state is RunState.RUNNING and not await self._answers(handle, pod):
            return Observation(RunState.STARTING)
        return seen

    def _fails_long(self, handle: str, code: str) -> bool:
        now, settings = asyncio.get_running_loop().time(), self._settings
        before, since = self._failing.get(handle, ("", now))
        if before != code:
            self._failing[handle] = (code, now)
            since = now
        patience = settings.image_patience_s if code.startswith("IMAGE") else settings.mount_patience_s
        return now - since >= patience

    async def _answers(self, handle: str, pod: dict[str, Any]) -> bool:
        """Whether its program serves; that is asked until it does for the first time."""
        if handle not in self._ready:
            relay, record = await self._relay(handle, pod), self._records.get(handle)
            if relay is not None and await answers(str(relay.path), record.headers if record else ()):
                self._ready.add(handle)
        return handle in self._ready

    async def _relay(self, handle: str, pod: dict[str, Any]) -> Relay | None:
        host, here = str(pod.get("status", {}).get("podIP") or ""), self._relays.get(handle)
        if not is_pod_address(host):
            return None
        if here is None or here.host != host:
            relay = self._relays[handle] = Relay(self._records.socket(handle), host, self._settings.port)
            try:
                await relay.open()
            except OSError as error:
                del self._relays[handle]
                raise BackendError("The facility cannot open the way to the workspace.") from error
            if here is not None:
                await here.close()
        return self._relays[handle]

    # --- ending

    async def stop(self, handle: str) -> None:
        """Ask its node to end it; returns when the cluster has it no more."""
        if not is_workspace_id(handle):
            return
        known, record = await self._known(), self._records.get(handle)
        if record is not None and record.ended is not None and not record.untidy:
            return
        async with self._locks[handle]:
            name = objects.name_of(handle)
            if record is None and name not in self.pods.objects:
                if known:
                    return
                raise BackendUnavailable(AWAY)
            if record is None or record.ended is None:
                await self._records.change(handle, stopping=True)
            last = await self._remove(handle, self._settings.grace_s)
            await self._ended(handle, Observation(RunState.GONE, exit_code=_exit_code(last)))

    async def _remove(self, handle: str, grace_s: int) -> dict[str, Any] | None:
        """Delete the pod and wait until it is gone. Raises BackendError, BackendUnavailable."""
        name, loop = objects.name_of(handle), asyncio.get_running_loop()
        last, deadline = self.pods.objects.get(name), loop.time() + grace_s + 60
        await self._maker.end(handle, last["metadata"]["uid"] if last else "", grace_s)
        while True:
            if self.pods.believed:
                await self.pods.until(lambda: name not in self.pods.objects, 5)
            last = self.pods.objects.get(name) or self.pods.gone.get(name) or last
            if await self._maker.find(handle) is None:
                self.pods.drop(name)
                return self.pods.gone.get(name) or last
            if loop.time() > deadline:
                raise BackendError("The facility could not stop the workspace yet; it tries again.")
            await asyncio.sleep(0.1)

    async def _finish(self, handle: str, seen: Observation) -> None:
        """It has ended by itself: keep its output and its end, then take it away."""
        with suppress(ParasolError):
            said_last = await self._maker.output(handle)
            await asyncio.to_thread(self._records.log(handle).write_text, said_last)
        await self._records.change(handle, ended=seen, untidy=True)
        await self._clear(handle)

    async def _give_up(self, handle: str, pod: dict[str, Any], seen: Observation) -> None:
        """It will not start: nothing of it has run, so it is taken away without grace of its own."""
        async with self._locks[handle]:
            await self._remove(handle, self._settings.grace_s)
            await self._ended(handle, seen)

    async def _ended(self, handle: str, seen: Observation) -> None:
        """Nothing of it runs any more."""
        record = self._records.get(handle)
        if record is None or record.ended is None:
            await self._records.change(handle, ended=seen, untidy=True)
        self._spawn(handle, self._clear(handle), again=True)

    async def _clear(self, handle: str) -> None:
        """Remove everything of what has ended from the cluster, and the way to it."""
        self._ready.discard(handle)
        self._failing.pop(handle, None)
        relay = self._relays.pop(handle, None)
        if relay is not None:
            await relay.close()
            self._records.socket(handle).unlink(missing_ok=True)
        await self._remove(handle, self._settings.grace_s)
        await self._maker.tidy(handle)
        await self._records.change(handle, untidy=False)
        self._locks.pop(handle, None)

    async def _tidy_again(self) -> None:
        """What could not be removed is tried again, and what came late (an order whose answer was lost) is removed."""
        while True:
            late = [objects.workspace_of(name) for name in self.pods.objects]
            for handle in {*self._records.untidy(), *(each for each in late if each)}:
                record = self._records.get(handle)
                if record is not None and record.ended is not None:
                    self._spawn(handle, self._clear(handle))
            await asyncio.sleep(TIDY_S)

    def _spawn(self, handle: str, work: Coroutine[Any, Any, None], *, again: bool = False) -> None:
        """One at a time for each workspace."""
        if handle in self._under_way and not again:
            work.close()
            return

        async def run() -> None:
            try:
                await work
            except ParasolError as error:
                log.warning("workspace %s is not tidied up yet: %s", handle, error.message)
            except Exception:
                log.exception("workspace %s is not tidied up yet", handle)
            finally:
                if self._under_way.get(handle) is asyncio.current_task():
                    del self._under_way[handle]

        self._under_way[handle] = asyncio.create_task(run())

    # --- the rest

    async def list_owned(self) -> Mapping[str, str]:
        """Every pod of this agent that has not ended."""
        if not await self._known():
            raise BackendUnavailable(AWAY)
        mine = {}
        for name, pod in self.pods.objects.items():
            handle = objects.workspace_of(name)
            record = self._records.get(handle) if handle else None
            over = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
            if handle and not over and (record is None or record.ended is None):
                mine[handle] = handle
        return mine

    async def endpoint(self, handle: str) -> Endpoint | None:
        """A Unix socket of the agent's that leads to its pod."""
        if not is_workspace_id(handle):
            return None
        await self._known()
        record, pod = self._records.get(handle), self.pods.objects.get(objects.name_of(handle))
        if record is None or record.ended is not None or pod is None:
            return None
        relay = await self._relay(handle, pod)
        return Endpoint(relay.path, record.headers, os.geteuid()) if relay is not None else None

    async def logs(self, handle: str) -> str:
        """The last 64 KiB of its output."""
        if not is_workspace_id(handle):
            return ""
        await self._known()
        if objects.name_of(handle) not in self.pods.objects:
            return await asyncio.to_thread(tail, self._records.log(handle))
        try:
            return await self._maker.output(handle)
        except ParasolError:
            return ""

    async def capacity(self) -> Capacity:
        """What the nodes that take workspaces have in all."""
        there, _ = await self._asked_nodes()
        return nodes.capacity(nodes.suitable(there, self._settings.node_selector))


def _exit_code(pod: Mapping[str, Any] | None) -> int:
    """Of a pod that was stopped; 0 when nobody knows."""
    with suppress(KeyError, TypeError, ValueError, AttributeError):
        code = judge(pod).seen.exit_code if pod else None
        return 0 if code is None else code
    return 0


class KubernetesPlugin:
    """The adapter `kubernetes`."""

    settings = KubernetesSettings

    @staticmethod
    def build(settings: KubernetesSettings, site: Site) -> ComputeBackend:
        """The adapter. Raises ValueError for a state folder that cannot hold Unix sockets."""
        kubeconfig = site.config_folder / settings.kubeconfig if settings.kubeconfig else None
        return KubernetesCompute(settings, site.facility_id, Records(site.state), KubernetesApi(kubeconfig))
