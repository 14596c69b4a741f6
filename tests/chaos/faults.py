"""The faults by their ids: each function breaks something, waits until it was noticed, and mends it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.chaos.site import Site
from tests.chaos.world import World

Act = Callable[[World, Site], "float | None"]
Where = Literal["site", "world", "certificates"]
RANDOM = random.Random()


@dataclass(frozen=True)
class Fault:
    """`act` breaks and mends, and gives the seconds until the worst side had noticed, None where nobody must.

    Faults of a `site` leave the other facilities alone, so several run at once; one of the `world` runs by itself, and
    so does one of `certificates`, in a world whose agents are enrolled and whose time is a file's.
    """

    id: str
    name: str
    where: Where
    act: Act
    needs: tuple[str, ...] = ()


FAULTS: list[Fault] = []


def fault(id_: str, name: str, where: Where = "site", needs: tuple[str, ...] = ()) -> Callable[[Act], Act]:
    """Registers a function."""

    def register(act: Act) -> Act:
        FAULTS.append(Fault(id_, name, where, act, needs))
        return act

    return register
