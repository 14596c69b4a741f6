"""Moments of an order's life at which a trial may end the process. In service nothing happens at any of them."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Moment(StrEnum):
    """Each lies between two things that must not be taken for one."""

    BEFORE_STORE = "before-store"
    AFTER_STORE = "after-store"
    BEFORE_EFFECT = "before-effect"
    DURING_EFFECT = "during-effect"
    AFTER_EFFECT = "after-effect"
    BEFORE_RESULT = "before-result"
    BEFORE_ACKNOWLEDGED = "before-acknowledged"
    DURING_GC = "during-gc"


At = Callable[[Moment], None]


def nothing(_moment: Moment) -> None:
    """What happens in service."""
