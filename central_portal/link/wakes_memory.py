"""Wakes within one process."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable

from central_portal.link.ports import Topic

log = logging.getLogger(__name__)
Callback = Callable[[str | None], None]


class MemoryWakes:
    """Implements `ports.Wakes` for a centre in one process. Nothing is ever missed."""

    def __init__(self) -> None:
        self._listeners: dict[Topic, set[Callback]] = defaultdict(set)

    async def start(self) -> None:
        """See `ports.Wakes`."""

    async def stop(self) -> None:
        """See `ports.Wakes`."""

    def tell(self, topic: Topic, key: str | None) -> None:
        """See `ports.Wakes`; None tells that some may have been missed."""
        for callback in tuple(self._listeners[topic]):
            try:
                callback(key)
            except Exception:  # one listener's fault is no other's, nor the teller's
                log.exception("a listener of %s failed", topic)

    def listen(self, topic: Topic, callback: Callback) -> Callable[[], None]:
        """See `ports.Wakes`."""
        self._listeners[topic].add(callback)
        return lambda: self._listeners[topic].discard(callback)
