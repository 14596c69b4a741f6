"""What the core reports, on its way into every session: recorded first."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from facility_agent.link.leaving import Leaving
from facility_agent.ports.link import Event
from shared.errors import BackendUnavailable
from shared.wire.events import encode_event
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb

log = logging.getLogger(__name__)
AGAIN = 2.0


class Reports:
    """Of two facts about one thing the newer says it all. `tell` hears each that is recorded; `run` it as a task.

    When something had to wait for the log, `behind` is called: what waited counts seconds from then.
    """

    def __init__(
        self, leaving: Leaving, tell: Callable[[str, pb.Event], None], behind: Callable[[], None]
    ) -> None:
        self._leaving, self._tell, self._behind = leaving, tell, behind
        self._waiting: dict[str, pb.Event] = {}
        self._wake = asyncio.Event()

    def offer(self, event: Event) -> None:
        """Send a fact."""
        try:
            key, message = encode_event(event)
        except (ValueError, TypeError):
            log.exception("An event cannot be sent.")
            return
        self._waiting[key] = message
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        waited = False
        while True:
            await self._wake.wait()
            self._wake.clear()
            taken, self._waiting = self._waiting, {}
            try:
                await self._leaving.events(taken.values())
            except BackendUnavailable:
                waited, self._waiting = True, {**taken, **self._waiting}
                self._wake.set()
                await asyncio.sleep(AGAIN)
                continue
            except Exception:  # a fault of ours must not keep every later fact
                log.exception("Events cannot be sent.")
                continue
            for key, message in taken.items():
                self._tell(key, message)
            if waited:
                waited = False
                self._behind()
