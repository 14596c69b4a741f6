"""Workspaces as pods of a Kubernetes cluster, each with the account's own uid, gid and groups and never root.

Two watches (pods, and warnings about them) keep in memory what the cluster says, so a look costs no call. What the
watches cannot tell is UNKNOWN; a pod is gone when the server itself said so.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from facility_agent.adapters.compute import kubernetes_nodes as nodes
from facility_agent.adapters.compute import kubernetes_objects as objects
from facility_agent.adapters.compute.kubernetes_api import AWAY, KubernetesApi
from facility_agent.adapters.compute.kubernetes_doors import Doors
from facility_agent.adapters.compute.kubernetes_endings import Endings, exit_code
from facility_agent.adapters.compute.kubernetes_making import Maker
from facility_agent.adapters.compute.kubernetes_reasons import Judged, judge, removed, said, warnings_of
from facility_agent.adapters.compute.kubernetes_records import Record, Records
from facility_agent.adapters.compute.kubernetes_settings import KubernetesSettings
from facility_agent.adapters.compute.kubernetes_task import is_task
from facility_agent.adapters.compute.kubernetes_watch import Mirror
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
from shared.errors import BackendUnavailable, InvalidRequest, ParasolError
from shared.workspaces import is_workspace_id

log = logging.getLogger(__name__)
FIRST_S, NODES_S = 8.0, 60.0
"""How long a first look waits for the first list; how old what is known of nodes may be."""
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
        self._maker = Maker(api, settings, owner, self._place)
        self.pods = Mirror(api, self._maker.watched_pods, {"labelSelector": objects.selector(owner)})
        self.warnings = Mirror(
            api, self._maker.watched_events, {"fieldSelector": "involvedObject.kind=Pod,type=Warning"}
        )
        self._doors = Doors(records, settings.port)
        self._ends = Endings(self._maker, self.pods, records, self._doors, settings.grace_s)
        self._watches: list[asyncio.Task[None]] = []
        self._nodes: tuple[float, list[Any]] | None = None
        self._beginning = asyncio.Lock()

    async def __aenter__(self) -> KubernetesCompute:
        with suppress(BackendUnavailable):  # then each call says so
            await self._begun()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave everything in the cluster as it is."""
        for task in self._watches:
            task.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        await self._ends.leave()
        await self._doors.close()
        await self._api.close()

    async def _begun(self) -> None:
        async with self._beginning:
            if not self._watches:
                await self._records.load()
                runs = (self.pods.run(), self.warnings.run(), self._ends.tidy_again())
                self._watches = [asyncio.create_task(run) for run in runs]

    async def _known(self) -> bool:
        """Whether what the mirror lacks is gone."""
        await self._begun()
        return await self.pods.listed(FIRST_S) and self.pods.believed

    def _place(self, handle: str) -> str:
        record, pod = self._records.get(handle), self.pods.objects.get(objects.name_of(handle))
        seen = str(pod["metadata"].get("namespace") or "") if pod is not None else ""
        return (record.namespace if record is not None else "") or seen or self._settings.namespace

    def _is_out_of_sight(self, record: Record) -> bool:
        """Whether it is in a namespace that is not watched, as the settings were others when it was made."""
        return not self._settings.account_namespaces and record.namespace not in ("", self._settings.namespace)

    # --- starting

    async def start(self, spec: StartSpec, account: Account) -> str:
        """Start it once; the same id again finds what was started."""
        if not is_workspace_id(spec.workspace_id):
            raise InvalidRequest("This is no workspace's id.")
        await self._begun()
        record = self._records.get(spec.workspace_id)
        if record is not None and record.ended is not None:  # never again, whatever the settings are by now
            return spec.workspace_id
        there, known = await self._asked_nodes()
        plan = self._maker.planned(spec, account, there, known=known)
        async with self._ends.locks[spec.workspace_id]:
            await self._start(spec, self._settings.namespace_of(account), plan)
        return spec.workspace_id

    async def _start(self, spec: StartSpec, place: str, plan: tuple[tuple[str, dict[str, Any]], ...]) -> None:
        name, record = spec.workspace_id, self._records.get(spec.workspace_id)
        if record is not None and record.ended is not None:
            return
        found = await self._maker.find(name, (record.namespace if record is not None else "") or place)
        if found is None and record is not None and (record.made or record.ending):
            await self._ends.ended(name, record.ending or said("REMOVED"))
            return
        if record is None or not record.headers:
            headers = tuple((key, filled(value, {"secret": spec.secret})) for key, value in spec.headers)
            record = await self._records.put(name, Record(headers, namespace=place))
        if found is None:
            try:
                found = await self._maker.make(plan)
            except ParasolError as error:
                # It may have had its effect all the same: what is recorded as ended is removed whenever it is seen.
                why = Observation(RunState.GONE, error.reason, error.message)
                await self._records.change(name, ended=why, untidy=True)
                self._ends.forget(name)
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
        if record is None or not (record.made or record.ending):
            return Observation(RunState.GONE)
        if self._is_out_of_sight(record):
            return UNKNOWN
        last = self.pods.gone.get(objects.name_of(handle))
        if record.ending is None:
            seen = removed(last) if last is not None else said("REMOVED")
        elif record.ending.reason:
            seen = record.ending
        else:
            seen = Observation(RunState.GONE, exit_code=exit_code(last))
        self._ends.finish(handle, seen)
        return seen

    async def _look(self, handle: str, pod: dict[str, Any]) -> Observation:
        waits = (pod.get("status") or {}).get("phase", "Pending") == "Pending"  # else no warning counts
        warned = warnings_of(self.warnings.objects.values(), pod["metadata"]["uid"]) if waits else {}
        judged, record = judge(pod, warned), self._records.get(handle)
        seen = judged.seen
        if record is not None and record.ending is not None:
            if record.ending.reason:  # given up, which the server may have refused, or the agent not outlived
                self._ends.give_up(handle, record.ending)
            return (
                Observation(RunState.STARTING) if seen.state is RunState.GONE else seen
            )  # until the cluster lacks it
        lives = seen.state in (RunState.STARTING, RunState.RUNNING) and not is_task(pod)
        # The kubelet tells an address up to a second before it tells that the program runs.
        answers = lives and await self._doors.answers(handle, pod)
        if seen.state is RunState.GONE:
            self._ends.finish(handle, seen)
        elif answers or not judged.failing:
            self._ends.no_longer_fails(handle)
        elif judged.at_once or self._is_hopeless(handle, judged):
            self._ends.give_up(handle, said(judged.failing))
        if not lives:
            return seen
        return (
            Observation(RunState.RUNNING) if answers else Observation(RunState.STARTING, seen.reason, seen.message)
        )

    def _is_hopeless(self, handle: str, judged: Judged) -> bool:
        image = judged.failing.startswith("IMAGE")
        patience = self._settings.image_patience_s if image else self._settings.mount_patience_s
        here = self._ends.fails_since(handle, judged.failing)
        return (here if judged.for_s is None else judged.for_s) >= patience

    # --- stopping and the rest

    async def stop(self, handle: str) -> None:
        """Ask its node to end it; returns when the cluster has it no more."""
        if not is_workspace_id(handle):
            return
        known, record = await self._known(), self._records.get(handle)
        if record is not None and record.ended is not None and not record.untidy:
            return
        if record is None and objects.name_of(handle) not in self.pods.objects:
            if known:
                return
            raise BackendUnavailable(AWAY)
        async with self._ends.locks[handle]:
            await self._ends.stop(handle)

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
        unseen = [each for each, record in self._records.lasting() if self._is_out_of_sight(record)]
        return mine | dict(zip(unseen, unseen, strict=True))

    async def endpoint(self, handle: str) -> Endpoint | None:
        """A Unix socket of the agent's that leads to its pod."""
        if not is_workspace_id(handle):
            return None
        await self._known()
        record, pod = self._records.get(handle), self.pods.objects.get(objects.name_of(handle))
        if record is None or record.ended is not None or pod is None or is_task(pod):
            return None
        relay = await self._doors.relay(handle, pod)
        return Endpoint(relay.path, record.headers, os.geteuid()) if relay is not None else None

    async def logs(self, handle: str) -> str:
        """The last 64 KiB of its output."""
        if not is_workspace_id(handle):
            return ""
        await self._known()
        if objects.name_of(handle) in self.pods.objects:
            with suppress(ParasolError):  # it may be gone already: then its output was kept
                return await self._maker.output(handle)
        return await asyncio.to_thread(tail, self._records.log(handle))

    async def capacity(self) -> Capacity:
        """What the nodes that take workspaces have in all."""
        there, _ = await self._asked_nodes()
        return nodes.capacity(nodes.suitable(there, self._settings.node_selector))


class KubernetesPlugin:
    """The adapter `kubernetes`."""

    settings = KubernetesSettings

    @staticmethod
    def build(settings: KubernetesSettings, site: Site) -> ComputeBackend:
        """The adapter. Raises ValueError for a state folder that cannot hold Unix sockets."""
        kubeconfig = site.config_folder / settings.kubeconfig if settings.kubeconfig else None
        return KubernetesCompute(settings, site.facility_id, Records(site.state), KubernetesApi(kubeconfig))
