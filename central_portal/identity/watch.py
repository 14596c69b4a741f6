"""Tells who waits for it that a portal session has ended or moved to another cookie, in whichever process that was."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress

from django.db import DatabaseError

from central_portal.database import in_database
from central_portal.identity import store
from central_portal.link.ports import Topic, Wakes

log = logging.getLogger(__name__)
EVERY = 2.0


class SessionWatch:
    """Callbacks by the hash of a session's cookie. `follow` makes them hear of other processes within two seconds.

    A hint only makes it look: what ends a socket is the row.
    """

    def __init__(self, wakes: Wakes, clock: Callable[[], float] = time.time) -> None:
        self._wakes, self._clock = wakes, clock
        self._waiting: dict[str, set[Callable[[], None]]] = defaultdict(set)
        self._hinted = asyncio.Event()

    def on_end(self, session_hash: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` once when the session is renewed or ends; returns the unsubscribe."""
        self._waiting[session_hash].add(callback)

        def unsubscribe() -> None:
            waiting = self._waiting.get(session_hash, set())
            waiting.discard(callback)
            if not waiting:
                self._waiting.pop(session_hash, None)

        return unsubscribe

    def announce(self, hashes: list[str]) -> None:
        """These sessions have ended or moved, in this process."""
        for session_hash in hashes:
            self._fire(session_hash)
            self._wakes.tell(Topic.SESSION, session_hash)

    async def look(self) -> None:
        """Ask the rows about every session that somebody waits for."""
        watched = list(self._waiting)
        if not watched:
            return
        living = await in_database(store.living)(watched, self._clock())
        for session_hash in watched:
            if session_hash not in living:
                self._fire(session_hash)

    async def follow(self) -> None:
        """Look for ever: at once when a hint comes, else every two seconds."""
        undo = self._wakes.listen(Topic.SESSION, self._hint)
        try:
            while True:
                self._hinted.clear()
                try:
                    await self.look()
                except DatabaseError as error:
                    log.warning("The sessions' rows cannot be read: %s", type(error).__name__)
                with suppress(TimeoutError):
                    async with asyncio.timeout(EVERY):
                        await self._hinted.wait()
        finally:
            undo()

    def _hint(self, session_hash: str | None) -> None:
        if session_hash is None or session_hash in self._waiting:
            self._hinted.set()

    def _fire(self, session_hash: str) -> None:
        for callback in self._waiting.pop(session_hash, ()):
            callback()
