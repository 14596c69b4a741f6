"""Hints between the processes of the centre."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol


class Topic(StrEnum):
    """What rows changed; each with the key that is told."""

    ORDER = "order"
    """A facility's orders; the facility's id."""
    SETTLED = "settled"
    """An order; its id."""
    FACILITY = "facility"
    """A facility or its session; its id."""
    WORKSPACE = "workspace"
    """A workspace; `person_id/workspace_id`."""
    SESSION = "session"
    """A portal session; its cookie's hash."""


class Wakes(Protocol):
    """Hints between the centre's processes that rows changed. Any may be lost: whoever needs one also looks by itself."""

    async def start(self) -> None:
        """Begin to hear the other processes."""
        ...

    async def stop(self) -> None:
        """Hear and tell nothing any more."""
        ...

    def tell(self, topic: Topic, key: str) -> None:
        """Tell every listener of every process, after the rows are committed. In the event loop; never blocks or raises."""
        ...

    def listen(self, topic: Topic, callback: Callable[[str | None], None]) -> Callable[[], None]:
        """Call `callback(key)` for each; None says that some may have been missed. Returns the unsubscribe."""
        ...
