"""Credits: how many of a kind may be out at a time, and which are."""

from __future__ import annotations

from collections.abc import Hashable, Iterator


class Window:
    """The keys that are out, each with one of `size` credits until it is given back."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._out: dict[Hashable, None] = {}

    def __len__(self) -> int:
        return len(self._out)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._out

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._out)

    @property
    def room(self) -> int:
        """Credits that are left."""
        return max(0, self.size - len(self._out))

    def take(self, key: Hashable) -> bool:
        """Whether `key` has a credit now; one that is out already keeps its own."""
        if key not in self._out and not self.room:
            return False
        self._out[key] = None
        return True

    def give_back(self, key: Hashable) -> bool:
        """Whether `key` had a credit, which is free now."""
        if key not in self._out:
            return False
        del self._out[key]
        return True

    def clear(self) -> None:
        """Every credit is free."""
        self._out.clear()


def granted(offered: int, default: int, most: int) -> int:
    """How many credits a peer's word gives: 0 stands for the protocol's default, and nobody gives more than `most`."""
    return min(offered or default, most)
