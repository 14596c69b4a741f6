"""A mirror of some of the cluster's objects: listed, then watched; a watch that ends goes on where it was.

It is listed again when the server does not know that place any more (410), and every ten minutes or so all the same.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from facility_agent.adapters.compute.kubernetes_api import AWAY, Gone, KubernetesApi
from shared.errors import BackendUnavailable, ParasolError

log = logging.getLogger(__name__)
WATCH_S, RELIST_S = 60, 600.0
"""A watch ends, and another list is made, after half of it to the whole, so that agents do not all ask at once."""
STALE_S = 10.0
"""How long a mirror is believed after its watch has broken."""
STANDS_S = 0.5
"""A watch that lasts so long, or has told of something, is one."""
PAGE, MOST, KEPT_GONE = 500, 20_000, 1000
LONGEST_PAUSE_S = 10.0

Object = dict[str, Any]


class Mirror:
    """`objects` by name. What is there was there; what is not is gone only while `believed`, else nobody knows.

    `gone` keeps the last that was seen of what has gone, the latest thousand.
    """

    def __init__(self, api: KubernetesApi, path: str, query: Mapping[str, str]) -> None:
        self._api, self._path, self._query = api, path, query
        self.objects: dict[str, Object] = {}
        self.gone: OrderedDict[str, Object] = OrderedDict()
        self.relisted = self.resumed = 0
        self.heard_at: float | None = None
        self._relist_at = 0.0
        self._version = ""
        self._added: dict[str, float] = {}
        self._listed = False
        self._broken_at: float | None = None
        self._changed = asyncio.Event()

    @property
    def believed(self) -> bool:
        """Whether it has been listed and its watch stands, or broke only just."""
        now = asyncio.get_running_loop().time()
        return self._listed and (self._broken_at is None or now - self._broken_at < STALE_S)

    async def run(self) -> None:
        """Until cancelled."""
        failures = 0
        while True:
            try:
                if not self._version or asyncio.get_running_loop().time() >= self._relist_at:
                    await self._list()
                heard = await self._follow()
                failures = 0 if heard else failures + 1
            except Gone:
                self._version = ""
                failures += 1
            except ParasolError as error:
                failures += 1
                self._break(error.message)
            except Exception:  # what a server says must not end the mirror
                failures += 1
                self._version = ""
                self._break("it said what cannot be read")
                log.exception("the cluster's answer could not be read")
            longest = min(LONGEST_PAUSE_S, 0.1 * 2 ** min(failures, 10))
            await asyncio.sleep(random.uniform(0, longest))

    async def until(self, true: Callable[[], bool], within_s: float) -> bool:
        """Wait for changes until it is so; whether it became so in time."""
        try:
            async with asyncio.timeout(within_s):
                while not true():
                    await self._changed.wait()
        except TimeoutError:
            return true()
        return True

    async def listed(self, within_s: float) -> bool:
        """Whether it has been listed, now or within this time."""
        return await self.until(lambda: self._listed, within_s)

    def put(self, found: Object) -> None:
        """Take in what another call has answered, e.g. what was just made and no watch has told of yet."""
        name, uid = found["metadata"]["name"], found["metadata"].get("uid")
        last = self.gone.get(name)
        if name not in self.objects and (last is None or last["metadata"].get("uid") != uid):
            self.objects[name] = found
            self._added[name] = asyncio.get_running_loop().time()
            self._tell()

    def drop(self, name: str) -> None:
        """Take in that another call has found it gone."""
        last = self.objects.pop(name, None)
        if last is not None:
            self._forget(name, last)
            self._tell()

    # --- listing and following

    async def _list(self) -> None:
        began, found, token, version = asyncio.get_running_loop().time(), {}, "", ""
        while True:
            page = {"limit": str(PAGE), **({"continue": token} if token else {})}
            answer = await self._api.ask("GET", self._path, {**self._query, **page})
            items, meta = answer.get("items", []), answer.get("metadata")
            if not str(answer["kind"]).endswith("List") or not isinstance(items, list | None) or not meta:
                raise BackendUnavailable(AWAY)  # an answer without a list is no empty list
            for item in items or ():
                found[item["metadata"]["name"]] = item
            token, version = meta.get("continue") or "", meta["resourceVersion"]
            if not token:
                break
            if len(found) > MOST:
                raise BackendUnavailable("The facility's cluster has more of Parasol's than can be read.")
        for name in self.objects.keys() - found.keys():
            if self._added.get(name, 0.0) < began:  # else it was made while the list was
                self._forget(name, self.objects.pop(name))
        self.objects.update(found)
        self._added = {name: at for name, at in self._added.items() if at >= began}
        self._version, self._listed = version, True
        self.relisted += 1
        self._relist_at = began + _some(RELIST_S)
        self._tell()

    async def _follow(self) -> bool:
        """Watch until the server ends it; whether it said anything or took its time, as a watch does."""
        loop = asyncio.get_running_loop()
        began, heard = loop.time(), False
        query = {**self._query, "resourceVersion": self._version}
        async with self._api.watch(self._path, query, max(1, int(_some(WATCH_S)))) as events:
            self.resumed += 1
            standing = loop.call_later(STANDS_S, self._stands)  # what a proxy answers in its place ends at once
            try:
                async for event in events:
                    self._take(event.get("type"), event["object"])
                    self._stands()
                    heard = True
            finally:
                standing.cancel()
        if heard or loop.time() - began > STANDS_S:
            return True
        self._break("a watch ended before it said anything")
        return False

    def _stands(self) -> None:
        self._broken_at = None

    def _take(self, kind: Any, found: Object) -> None:
        if kind == "ERROR":
            if found.get("code") == 410:
                raise Gone
            raise BackendUnavailable(AWAY)
        self.heard_at, meta = asyncio.get_running_loop().time(), found["metadata"]
        if kind in ("ADDED", "MODIFIED"):
            self.objects[meta["name"]] = found
        elif kind == "DELETED":
            self.objects.pop(meta["name"], None)
            self._forget(meta["name"], found)
        self._version = meta["resourceVersion"]
        self._tell()

    def _forget(self, name: str, last: Object) -> None:
        self._added.pop(name, None)
        self.gone[name] = last
        self.gone.move_to_end(name)
        while len(self.gone) > KEPT_GONE:
            self.gone.popitem(last=False)

    def _break(self, why: str) -> None:
        if self._broken_at is None:
            self._broken_at = asyncio.get_running_loop().time()
            log.warning("the cluster is not being watched: %s", why)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _some(most: float) -> float:
    return random.uniform(most / 2, most)
