"""Runs a wired process of the centre until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from django.db import DatabaseError
from prometheus_client import REGISTRY

from central_portal.composition import Centre, Follower, Shape
from central_portal.database import Unusable, in_database, why
from central_portal.facilities.sessions import end_leases
from central_portal.link.queue_metrics import OrderQueues
from central_portal.ops import operations
from central_portal.settings import CentreSettings
from shared.limits import LIMITS
from shared.serving import serve
from shared.wire.addresses import parse_address

log = logging.getLogger(__name__)
_AGAIN = 1.0
_STOP_WITHIN = 10.0


async def run(centre: Centre, settings: CentreSettings, shape: Shape) -> None:
    """Serve until SIGTERM or SIGINT. Raises SettingsError, HubMisconfigured, Unusable when it cannot begin."""
    try:
        if shape is Shape.EMBEDDED:
            await in_database(end_leases)()  # of the process before this one
        await centre.roster.look()
        await centre.facilities.refresh()
    except DatabaseError as error:
        raise Unusable(await asyncio.to_thread(why, error)) from None
    if settings.metrics and centre.hub is not None:
        REGISTRY.register(OrderQueues())
    with operations(settings.metrics, lambda: centre.hub is None or centre.hub.serving):
        async with _in_the_background(centre):
            if centre.hub is not None:
                await centre.hub.start()
            try:
                await _serve(centre, settings)
            finally:
                if centre.hub is not None:
                    async with asyncio.timeout(settings.hub_drain + _STOP_WITHIN):
                        await centre.hub.stop()


async def _serve(centre: Centre, settings: CentreSettings) -> None:
    if centre.app is None:
        await _until_told_to_stop()
        return
    at = parse_address(settings.listen)
    await serve(centre.app, at.host, at.port, grace_s=5, ws_max_size=LIMITS.graphql_bytes)


async def _until_told_to_stop() -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()


@asynccontextmanager
async def _in_the_background(centre: Centre) -> AsyncIterator[None]:
    """Wakes and followers, while the context lasts."""
    await centre.wakes.start()
    tasks = [asyncio.create_task(_for_ever(follower)) for follower in centre.followers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await centre.wakes.stop()
        if centre.relay is not None:
            await centre.relay.close()
        await centre.writer.close()


async def _for_ever(follower: Follower) -> None:
    """A fault of ours in one of them is told, and does not end it."""
    while True:
        try:
            await follower()
        except Exception:
            log.exception("what runs in the background failed")
        await asyncio.sleep(_AGAIN)
