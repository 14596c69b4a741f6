"""A value that is asked for once and known for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """What `ask` answers, for `seconds`. Of those who want it at once one asks and the others wait; a failure is not kept."""

    def __init__(
        self, ask: Callable[[], Awaitable[T]], seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask, self._seconds, self._clock = ask, seconds, clock
        self._held: tuple[T, float] | None = None
        self._asking = asyncio.Lock()

    async def value(self) -> T:
        """The value. Raises what `ask` raises."""
        async with self._asking:
            began = self._clock()
            if self._held is None or self._held[1] <= began:
                self._held = None
                self._held = (await self._ask(), began + self._seconds)
            return self._held[0]
