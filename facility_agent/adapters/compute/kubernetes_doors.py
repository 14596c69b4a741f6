"""The ways into workspaces: a relay each, and who is known to answer."""

from __future__ import annotations

import asyncio
from typing import Any

from facility_agent.adapters.compute.kubernetes_records import Records
from facility_agent.adapters.compute.kubernetes_relay import Relay, is_pod_address
from facility_agent.adapters.compute.process_endpoint import answers
from shared.errors import BackendError


class Doors:
    """One relay a workspace, made when it is first wanted and again when its pod has another address."""

    def __init__(self, records: Records, port: int) -> None:
        self._records, self._port = records, port
        self._relays: dict[str, Relay] = {}
        self._ready: set[str] = set()

    async def relay(self, handle: str, pod: dict[str, Any]) -> Relay | None:
        """Its relay, None while its pod has no address. Raises BackendError."""
        host, here = str(pod.get("status", {}).get("podIP") or ""), self._relays.get(handle)
        if not is_pod_address(host):
            return None
        if here is None or here.host != host:
            made = self._relays[handle] = Relay(self._records.socket(handle), host, self._port)
            try:
                await made.open()
            except OSError as error:
                self._relays.pop(handle, None)
                raise BackendError("The facility cannot open the way to the workspace.") from error
            if here is not None:
                await here.close()
        return self._relays.get(handle)

    async def answers(self, handle: str, pod: dict[str, Any]) -> bool:
        """Whether its program serves; that is asked until it does for the first time."""
        if handle not in self._ready:
            relay, record = await self.relay(handle, pod), self._records.get(handle)
            if relay is not None and await answers(str(relay.path), record.headers if record else ()):
                self._ready.add(handle)
        return handle in self._ready

    def knows(self, handle: str) -> bool:
        """Whether it has answered."""
        return handle in self._ready

    async def shut(self, handle: str) -> None:
        """There is nothing behind it any more."""
        self._ready.discard(handle)
        relay = self._relays.pop(handle, None)
        if relay is not None:
            await relay.close()
            self._records.socket(handle).unlink(missing_ok=True)

    async def close(self) -> None:
        """The agent leaves; what runs goes on."""
        await asyncio.gather(*(relay.close() for relay in self._relays.values()))
        self._relays.clear()
