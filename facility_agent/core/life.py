"""An order under way, and who waits to hear that it is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Life:
    """One order under way in this process. Everyone who handed it in is told once it is stored."""

    hear: list[Callable[[], None]] = field(default_factory=list)
    stored: bool = False
    task: asyncio.Task[bytes | None] | None = None

    def accept(self) -> None:
        """It is stored."""
        self.stored = True
        for listener in self.hear:
            listener()
        self.hear.clear()

    def join(self, accepted: Callable[[], None]) -> None:
        """Call `accepted` once it is stored, at once when it is."""
        if self.stored:
            accepted()
        else:
            self.hear.append(accepted)
