"""What the heartbeats of a session say of the egress log: its head, and the record that the centre asks for."""

from __future__ import annotations

import asyncio

from facility_agent.link.leaving import Leaving
from shared.errors import BackendUnavailable
from shared.link.outputs import LogWord


class LogWords:
    """The record that was asked for is read from the disk each time: what the agent remembers proves nothing."""

    def __init__(self, leaving: Leaving) -> None:
        self._leaving = leaving
        self._asked = 0
        self._found: tuple[int, bytes] = (0, b"")
        self._look: asyncio.Task[None] | None = None

    def ask(self, sequence: int) -> None:
        """The centre wants to hear the hash of this record; one look is under way at a time."""
        self._asked = sequence
        if self._look is None:
            self._look = asyncio.create_task(self._looked(sequence))
            self._look.add_done_callback(self._done)

    def word(self) -> LogWord:
        """The head now, and the record that was looked up last if it is the one that was asked for last."""
        head = self._leaving.head()
        found = self._found if self._found[0] == self._asked else (0, b"")
        return LogWord(head.sequence, bytes.fromhex(head.hash), *found)

    async def stop(self) -> None:
        """Look no more."""
        if self._look is not None:
            self._look.cancel()
            await asyncio.gather(self._look, return_exceptions=True)

    async def _looked(self, sequence: int) -> None:
        try:
            self._found = (sequence, bytes.fromhex(await self._leaving.hash_of(sequence)))
        except BackendUnavailable:
            self._found = (0, b"")  # it is asked for again

    def _done(self, look: asyncio.Task[None]) -> None:
        self._look = None
        if not look.cancelled() and self._found[0] not in (0, self._asked):
            self.ask(self._asked)
