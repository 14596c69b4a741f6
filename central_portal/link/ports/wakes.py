"""Hints between the processes of the centre."""

from __future__ import annotations

import hashlib
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
    DATASET = "dataset"
    """Where a dataset's data are; its `dataset_key`."""
    SESSION = "session"
    """A portal session; its cookie's hash."""


def dataset_key(facility_id: str, pid: str) -> str:
    """The key of a dataset, no longer than others and without its name."""
    return hashlib.sha256(f"{facility_id}/{pid}".encode()).hexdigest()


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
