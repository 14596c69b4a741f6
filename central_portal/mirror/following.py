"""Keeps the mirror: asks each facility that is connected here for what has changed."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress

from django.db import DatabaseError

from central_portal.database import in_database
from central_portal.facilities.services import Facilities
from central_portal.identity.services import Identity
from central_portal.mirror import store
from shared.catalogue import Changes
from shared.commands import GetChanges, Verb
from shared.errors import BackendError, NotFound, ParasolError
from shared.wire.status import error_of

log = logging.getLogger(__name__)
PAGES = 1000
"""Most pages of a facility in one round; the next goes on from there."""


class Mirror:
    """Asks without a grant, so that only open metadata can come. `is_here` tells whose session this process holds.

    One round every `every` seconds, give or take a fifth, and sooner after a facility has come back: its catalogue
    may not have been read yet when it connects.
    """

    def __init__(
        self, identity: Identity, facilities: Facilities, is_here: Callable[[str], bool], every: float, deadline: float,
    ) -> None:  # fmt: skip
        self._identity, self._facilities, self._is_here = identity, facilities, is_here
        self._every, self._deadline = every, deadline
        self._told: dict[str, str] = {}
        self._online: set[str] = set()
        self._back = asyncio.Event()

    async def follow(self) -> None:
        """Runs until it is cancelled."""
        leave = self._facilities.subscribe(self._changed)
        pause = 1.0
        try:
            while True:
                self._online = {view.slug for view in self._facilities.all() if view.online}
                await asyncio.gather(*map(self.pull, filter(self._is_here, self._online)))
                try:
                    async with asyncio.timeout(pause * random.uniform(0.8, 1.2)):
                        await self._back.wait()
                except TimeoutError:
                    pause = min(self._every, 2 * pause)
                else:
                    self._back.clear()
                    pause = 1.0
        finally:
            leave()

    def _changed(self, slug: str) -> None:
        with suppress(NotFound):  # it has left
            if self._facilities.get(slug).online and slug not in self._online:
                self._back.set()

    async def pull(self, slug: str) -> None:
        """Read a facility up to now. What keeps it from answering is logged once and tried again in the next round."""
        try:
            for _ in range(PAGES):
                if not await self._page(slug):
                    break
        except (ParasolError, DatabaseError, ValueError) as error:
            self._tell(slug, type(error).__name__, error)
        else:
            self._tell(slug, "", None)

    async def _page(self, slug: str) -> bool:
        """One page; whether there is another."""
        since = await in_database(store.token)(slug)
        answer = await self._identity.ask(None, slug, Verb.CHANGES, GetChanges(since), timeout_s=self._deadline)
        if not isinstance(answer.payload, Changes):
            raise error_of(answer.problem) if answer.problem else BackendError("It sent no changes.")
        applied = await in_database(store.apply)(slug, since, answer.payload)
        return applied and answer.payload.more and answer.payload.token != since

    def _tell(self, slug: str, what: str, error: Exception | None) -> None:
        if self._told.get(slug, "") != what and error is not None:
            log.warning("the open metadata of %s cannot be read: %s", slug, error)
        self._told[slug] = what
