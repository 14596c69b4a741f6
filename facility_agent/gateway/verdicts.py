"""Who may pass which workspace's door: the agent's verdicts, kept until it takes them back."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress

from facility_agent.ports.doorkeeper import Revocation, WorkspaceAccess, WorkspaceDoor
from shared.errors import BackendUnavailable, ParasolError

log = logging.getLogger(__name__)
HOLDS_S = 60.0
KEPT = 10_000
ASKED_AGAIN = 5
Key = tuple[str, str]


class _Asked:
    """A question under way; `overtaken` by a revocation, so that its answer may be older than that."""

    def __init__(self, key: Key) -> None:
        self.key, self.overtaken = key, False


class Verdicts:
    """`of` answers from memory while the agent's stream of revocations is open.

    Without the stream a verdict holds at most 60 s. `watch` keeps the stream; after a gap everything is asked
    again, and only what is no longer allowed is cut.
    """

    def __init__(self, door: WorkspaceAccess, clock: Callable[[], float] = time.monotonic) -> None:
        self._door, self._clock = door, clock
        self._kept: dict[Key, tuple[WorkspaceDoor, float]] = {}
        self._asking: set[_Asked] = set()
        self._cuts: dict[Key, set[Callable[[], None]]] = defaultdict(set)

    def known(self, workspace_id: str, cookie_hash: str) -> WorkspaceDoor | None:
        """The verdict that holds, None when the agent must be asked."""
        kept = self._kept.get((workspace_id, cookie_hash))
        return kept[0] if kept is not None and self._clock() - kept[1] < HOLDS_S else None

    async def of(self, workspace_id: str, cookie_hash: str) -> WorkspaceDoor | None:
        """The verdict behind a workspace cookie; None when the cookie opens nothing. Raises BackendUnavailable."""
        return self.known(workspace_id, cookie_hash) or await self._ask((workspace_id, cookie_hash))

    async def _ask(self, key: Key) -> WorkspaceDoor | None:
        for _ in range(ASKED_AGAIN):
            asked = _Asked(key)
            self._asking.add(asked)
            try:
                door = await self._door.pass_of(*key)
            finally:
                self._asking.discard(asked)
            if not asked.overtaken:
                self._keep(key, door)
                return door
        raise BackendUnavailable("The facility is changing what you may open; try again.")

    def _keep(self, key: Key, door: WorkspaceDoor | None) -> None:
        if door is not None and door.endpoint is not None:  # what is still starting is asked each time
            if len(self._kept) >= KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = (door, self._clock())

    def on_cut(self, workspace_id: str, cookie_hash: str, cut: Callable[[], None]) -> Callable[[], None]:
        """Call `cut` when this cookie no longer opens this workspace; returns the unsubscribe."""
        key = (workspace_id, cookie_hash)
        self._cuts[key].add(cut)

        def unsubscribe() -> None:
            self._cuts[key].discard(cut)
            if not self._cuts[key]:
                del self._cuts[key]

        return unsubscribe

    async def watch(self) -> None:
        """Follow the agent's revocations until cancelled; reconnect with jitter."""
        lost_at: float | None = None
        while True:
            with suppress(ParasolError):
                async for revocation in self._door.revocations():
                    lost_at = None
                    await self.revoke(revocation)
            lost_at = lost_at or self._clock()
            if self._clock() - lost_at > HOLDS_S:
                self._cut_all()
            await asyncio.sleep(random.uniform(0.1, 1.0))

    async def revoke(self, revocation: Revocation) -> None:
        """Ask again for every verdict that this may concern, and cut what is no longer allowed."""
        for asked in self._asking:
            asked.overtaken = asked.overtaken or _concerns(revocation, asked.key)
        concerned = [key for key in {*self._kept, *self._cuts} if _concerns(revocation, key)]
        for key in concerned:
            self._kept.pop(key, None)
        for key in concerned:
            if key not in self._cuts:
                continue
            try:
                door = await self._ask(key)
            except BackendUnavailable:
                continue  # the stream is about to break too; its own limit applies
            if door is None or not door.allowed or door.endpoint is None:
                self._cut(key)

    def _cut(self, key: Key) -> None:
        for cut in tuple(self._cuts.get(key, ())):
            cut()

    def _cut_all(self) -> None:
        self._kept.clear()
        for key in tuple(self._cuts):
            self._cut(key)


def _concerns(revocation: Revocation, key: Key) -> bool:
    workspace_id, cookie_hash = key
    return revocation.workspace_id in ("", workspace_id) and revocation.session_hash in ("", cookie_hash)
