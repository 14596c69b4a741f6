"""Tells whoever watches a person's workspaces that one changed, in whichever process that was."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from django.db import DatabaseError

from central_portal.database import in_database
from central_portal.link.ports import Topic, Wakes
from central_portal.workspaces import store
from central_portal.workspaces.logic import WorkspaceView

log = logging.getLogger(__name__)
QUEUE = 256
EVERY = 1.0
WINDOW = 60.0
"""How far back a look goes: longer than it takes to commit, and than the centre's clocks differ."""


class Broadcaster:
    """A bounded queue per watcher; one that does not read is told to start over.

    `follow` makes it hear of other processes: at once by a hint, within a second without.
    """

    def __init__(self, wakes: Wakes, clock: Callable[[], float] = time.time) -> None:
        self._wakes, self._clock = wakes, clock
        self._queues: dict[int, set[asyncio.Queue[WorkspaceView | None]]] = defaultdict(set)
        self._told: dict[str, WorkspaceView] | None = None  # only who looks must know what was told
        self._hinted = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def publish(self, view: WorkspaceView) -> None:
        """A workspace changed in this process. Never blocks, never raises."""
        self._deliver(view)
        self._wakes.tell(Topic.WORKSPACE, f"{view.person_id}/{view.id}")

    @contextmanager
    def watch(self, person_id: int) -> Iterator[asyncio.Queue[WorkspaceView | None]]:
        """A queue of this person's changes while the context lasts; None says that some were lost."""
        queue: asyncio.Queue[WorkspaceView | None] = asyncio.Queue(QUEUE)
        self._queues[person_id].add(queue)
        try:
            yield queue
        finally:
            self._queues[person_id].discard(queue)
            if not self._queues[person_id]:
                del self._queues[person_id]

    def facility_changed(self, facility_id: str) -> None:
        """What is shown of a facility's living workspaces changes with it: tell those who watch in this process."""
        if self._queues:
            task = asyncio.ensure_future(self._living_at(facility_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def follow(self) -> None:
        """Follow the rows of the watched persons for ever."""
        undo = self._wakes.listen(Topic.WORKSPACE, self._hint)
        self._told = {}
        try:
            while True:
                self._hinted.clear()
                try:
                    await self._look()
                except DatabaseError as error:
                    log.warning("The workspaces' rows cannot be read: %s", type(error).__name__)
                with suppress(TimeoutError):
                    async with asyncio.timeout(EVERY):
                        await self._hinted.wait()
        finally:
            self._told = None
            undo()

    def _hint(self, key: str | None) -> None:
        person = (key or "").partition("/")[0]
        if key is None or (person.isdecimal() and int(person) in self._queues):
            self._hinted.set()

    async def _look(self) -> None:
        """Deliver what changed lately and was not told yet."""
        watched = list(self._queues)
        lately = await in_database(store.changed_since)(watched, self._clock() - WINDOW) if watched else []
        assert self._told is not None
        for view in lately:
            if self._told.get(view.id) != _mark(view):
                self._deliver(view)
        recent = {view.id for view in lately}
        self._told = {name: view for name, view in self._told.items() if name in recent}

    async def _living_at(self, facility_id: str) -> None:
        try:
            for view in await in_database(store.living)(facility_id):
                self._deliver(view)
        except DatabaseError as error:
            log.warning("The workspaces at %s cannot be read: %s", facility_id, type(error).__name__)

    def _deliver(self, view: WorkspaceView) -> None:
        queues = self._queues.get(view.person_id)
        if not queues:
            return
        if self._told is not None:
            self._told[view.id] = _mark(view)
        for queue in tuple(queues):
            if queue.full():
                queue.get_nowait()  # the watcher is behind: it is told to start over
                queue.put_nowait(None)
            else:
                queue.put_nowait(view)


def _mark(view: WorkspaceView) -> WorkspaceView:
    """What makes a workspace another one to its watcher: that it was seen again does not."""
    return replace(view, seen_at=None)
