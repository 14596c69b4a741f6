"""Waiting for a real system, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


async def eventually(look: Callable[[], Awaitable[bool]], what: str, deadline: float = 30.0) -> None:
    """Return once `look` says so. Raises AssertionError naming `what` after `deadline` seconds."""
    end = asyncio.get_running_loop().time() + deadline
    while not await look():
        if asyncio.get_running_loop().time() > end:
            raise AssertionError(f"{what}: not within {deadline:g} s")
        await asyncio.sleep(0.02)
