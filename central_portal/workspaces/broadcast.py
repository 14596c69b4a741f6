"""Tells whoever watches a person's workspaces, in this process, that one changed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from central_portal.workspaces.logic import WorkspaceView

QUEUE = 256
Changes = asyncio.Queue["WorkspaceView | None"]


class Broadcaster:
    """A bounded queue per watcher; one that does not read loses its place and is told to start over."""

    def __init__(self) -> None:
        self._queues: dict[int, set[Changes]] = defaultdict(set)

    def publish(self, view: WorkspaceView) -> None:
        """Tell every watcher of this person. Never blocks, never raises."""
        for queue in tuple(self._queues.get(view.person_id, ())):
            if queue.full():
                queue.get_nowait()  # the watcher is behind: it is told to start over
                queue.put_nowait(None)
            else:
                queue.put_nowait(view)

    @contextmanager
    def watch(self, person_id: int) -> Iterator[Changes]:
        """A queue of this person's changes while the context lasts; None says that some were lost."""
        queue: Changes = asyncio.Queue(QUEUE)
        self._queues[person_id].add(queue)
        try:
            yield queue
        finally:
            self._queues[person_id].discard(queue)
            if not self._queues[person_id]:
                del self._queues[person_id]
