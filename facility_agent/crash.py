"""Ends the process at a named moment of an order's life: `PARASOL_CRASH_AT=<moment>`, see `shared.crash`.

The moments are those of `ports.moments`. For trials only: without the variable nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Mapping

from facility_agent.ports.moments import At, Moment, nothing
from shared.crash import crash_at

VARIABLE = "PARASOL_CRASH_AT"


def crashes(environment: Mapping[str, str]) -> At:
    """What happens at each moment. Raises ValueError for a moment that there is none of."""
    wish = environment.get(VARIABLE, "")
    return crash_at(wish, Moment) if wish else nothing
