"""`ports.Wakes` within one process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from central_portal.link.ports import Topic


class MemoryWakes:
    """Every hint reaches every listener of its topic at once."""

    def __init__(self) -> None:
        self._listeners: dict[Topic, set[Callable[[str], None]]] = defaultdict(set)

    def tell(self, topic: Topic, key: str) -> None:
        """See the port."""
        for listener in tuple(self._listeners[topic]):
            listener(key)

    def listen(self, topic: Topic, callback: Callable[[str], None]) -> Callable[[], None]:
        """See the port."""
        self._listeners[topic].add(callback)
        return lambda: self._listeners[topic].discard(callback)
