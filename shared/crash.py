"""Ends this process at a named moment, to see what the next one makes of it. For trials only."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

M = TypeVar("M", bound=StrEnum)


def crash_at(wish: str, moments: type[M]) -> Callable[[M], None]:
    """What happens at each moment: `<moment>` dies by SIGKILL the first time it is reached, `<moment>:3` the third.

    Raises ValueError for a moment that there is none of.
    """
    name, _, count = wish.partition(":")
    moment, left = moments(name), int(count or 1)

    def at(reached: M) -> None:
        nonlocal left
        left -= reached is moment
        if reached is moment and left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return at
