"""How many bytes passed the gateway to and from each workspace, told to the agent for its record."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict

from facility_agent.ports.doorkeeper import WorkspaceAccess
from shared.errors import BackendUnavailable, ParasolError

log = logging.getLogger(__name__)
EVERY_S = 60.0


class Traffic:
    """Counts per workspace. What the agent could not record is told again later."""

    def __init__(self, door: WorkspaceAccess) -> None:
        self._door = door
        self._sent: defaultdict[str, int] = defaultdict(int)
        self._received: defaultdict[str, int] = defaultdict(int)

    def sent(self, workspace_id: str, size: int) -> None:
        """From the browser to the workspace."""
        self._sent[workspace_id] += size

    def received(self, workspace_id: str, size: int) -> None:
        """From the workspace to the browser."""
        self._received[workspace_id] += size

    async def run(self) -> None:
        """Tell it once a minute, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.tell()

    async def tell(self) -> None:
        """Tell what has passed since the last time."""
        for workspace_id in sorted(self._sent.keys() | self._received.keys()):
            sent, received = self._sent.pop(workspace_id, 0), self._received.pop(workspace_id, 0)
            if not sent and not received:
                continue
            try:
                await self._door.carried(workspace_id, sent, received)
            except BackendUnavailable:
                self._sent[workspace_id] += sent
                self._received[workspace_id] += received
            except ParasolError as error:
                log.warning("Bytes of workspace %s are not recorded: %s", workspace_id, error.message)
