"""What the agent counts while it works. The names of metrics are given where they are shown."""

from __future__ import annotations

from typing import Protocol


class Meters(Protocol):
    """Called from any thread; never raises."""

    def order(self, verb: str, outcome: str) -> None:
        """An order was settled or refused."""
        ...

    def duplicate(self, verb: str) -> None:
        """An order came again and was answered from the store."""
        ...

    def committed(self, works: int, seconds: float) -> None:
        """The store committed this many works at once."""
        ...

    def ended(self, ending: str) -> None:
        """A session with the hub ended."""
        ...


class NoMeters:
    """Counts nothing."""

    def order(self, verb: str, outcome: str) -> None:
        """Nothing."""

    def duplicate(self, verb: str) -> None:
        """Nothing."""

    def committed(self, works: int, seconds: float) -> None:
        """Nothing."""

    def ended(self, ending: str) -> None:
        """Nothing."""
