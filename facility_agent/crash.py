"""Ends the process at a named moment of an order's life, to see what the next one makes of it.

`PARASOL_CRASH_AT=<moment>` kills this process by SIGKILL the first time it gets there, `<moment>:3` the third time; the
moments are those of `ports.moments`. For trials only: without the variable nothing here does anything.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping

from facility_agent.ports.moments import At, Moment, nothing

VARIABLE = "PARASOL_CRASH_AT"


def crashes(environment: Mapping[str, str]) -> At:
    """What happens at each moment. Raises ValueError for a moment that there is none of."""
    wish = environment.get(VARIABLE, "")
    if not wish:
        return nothing
    name, _, count = wish.partition(":")
    moment, left = Moment(name), int(count or 1)

    def at(reached: Moment) -> None:
        nonlocal left
        left -= reached is moment
        if reached is moment and left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return at
