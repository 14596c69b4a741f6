"""Says again and again that this hub's sessions are alive, and notices which of them are not its own any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from central_portal.link.metrics import FENCED, LEASES, RTT
from central_portal.link.ports import Beat, Registry

log = logging.getLogger(__name__)


async def keep_leases(
    registry: Registry,
    hub_id: str,
    held: Callable[[], Mapping[str, Beat]],
    lost: Callable[[str, int], None],
    lease_s: float,
) -> None:
    """Renews three times in a lease, for ever. `lost(facility, epoch)` is told the least epoch that has overtaken."""
    while True:
        await asyncio.sleep(lease_s / 3)
        sessions = dict(held())
        try:
            async with asyncio.timeout(lease_s / 3):
                kept = await registry.renew(hub_id, sessions)
        except Exception as error:  # noqa: BLE001 (whatever keeps the database away: the leases go on when it is back)
            LEASES.labels("failed").inc()
            log.warning("The leases could not be renewed: %s", type(error).__name__)
            continue
        LEASES.labels("renewed").inc()
        for facility_id, beat in sessions.items():
            if beat.rtt is not None:
                RTT.labels(facility_id).set(beat.rtt)
            if facility_id not in kept:
                FENCED.labels("lease").inc()
                lost(facility_id, beat.epoch + 1)
