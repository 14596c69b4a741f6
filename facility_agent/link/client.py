"""The agent's way to the hub: dials out, stays connected for ever, carries out what it is asked."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from contextlib import suppress

from facility_agent.link.backoff import Backoff
from facility_agent.link.running import Running
from facility_agent.link.settings import LinkMisconfigured, LinkSettings
from facility_agent.link.stream import Stream, open_stream
from facility_agent.link.ways import ByHand, Way, Ways
from facility_agent.ports.link import Core, Event
from shared.errors import InvalidRequest
from shared.link.agent_end import AgentEnd
from shared.link.outputs import Closed, CommandArrived, Ending, Opened, Output
from shared.link.pump import Pump, StreamLost
from shared.wire.events import encode_event
from shared.wire.facilities import encode_description
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.workspaces import encode_inventory

__all__ = ["AgentLink", "LinkMisconfigured", "LinkSettings"]

log = logging.getLogger(__name__)
_DRAIN = 2.0


class AgentLink:
    """The link of one agent. `run` it once, as a task of the agent's event loop.

    `on_change` is called with `connected` whenever that changes. `ending` says why the last session
    ended, None before the first one did. `ways` says how streams are opened; by hand, as the settings say, without.
    """

    def __init__(
        self, settings: LinkSettings, core: Core, clock: Callable[[], float] = time.time, ways: Ways | None = None
    ) -> None:
        self._settings, self._core = settings, core
        self._ways: Ways = ways or ByHand(settings, clock)
        self._way: Way | None = None
        self._instance = uuid.uuid4().hex
        self._running = Running(core, settings.commands_at_once)
        self._backoff = Backoff(settings.first_pause, settings.longest_pause, settings.stable_after)
        self._end: AgentEnd | None = None
        self._pump: Pump | None = None
        self._floor = 0
        self._connected = False
        self._opened_at: float | None = None
        self.on_change: Callable[[bool], None] | None = None
        self.ending: Closed | None = None

    @property
    def connected(self) -> bool:
        """Whether the hub has let this agent in and the session is alive."""
        return self._connected

    async def run(self) -> None:
        """Connects and reconnects until cancelled; then says goodbye.

        Raises LinkMisconfigured at once, before any connection, when the settings or the key cannot be used.
        """
        await asyncio.to_thread(self._ways.prepare)
        unsubscribe = self._core.subscribe(self._on_event)
        try:
            while True:
                closed = await self._attempt()
                await asyncio.sleep(self._pause(closed))
        finally:
            unsubscribe()
            await self._running.stop()

    def renewed(self) -> None:
        """There is a newer certificate: leaves the session, so that the next is opened with it."""
        if self._end is not None and self._pump is not None:
            self._end.drain(_DRAIN)
            self._pump.close(Ending.STOPPED, "The next session uses a newer certificate.")

    async def _attempt(self) -> Closed:
        self._opened_at = None
        try:
            way = self._way = await asyncio.to_thread(self._ways.way)
        except LinkMisconfigured as error:  # a file was damaged since the start; it may be mended meanwhile
            return Closed(Ending.LOST, str(error))
        async with open_stream(way.target, way.credentials, way.metadata) as stream:
            return await self._session(stream)

    async def _session(self, stream: Stream) -> Closed:
        loop = asyncio.get_running_loop()
        try:
            self._end = AgentEnd(self._settings.terms, self._hello(), loop.time(), self._floor)
        except (InvalidRequest, ValueError, TypeError):
            log.exception("What this facility says of itself cannot be sent.")
            return Closed(Ending.PROTOCOL, "What this facility says of itself cannot be sent.")
        self._pump = Pump(self._end, stream.read, stream.write, self._handle, self._at_once)
        running = asyncio.create_task(self._pump.run())
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await self._goodbye(running)
            raise
        finally:
            self._running.session_ended()
            self._set_connected(connected=False)
            self._end = self._pump = None

    async def _goodbye(self, running: asyncio.Task[Closed]) -> None:
        """Tells the hub, so that it asks no more, then ends the session."""
        if self._end is not None and self._pump is not None:
            self._end.drain(_DRAIN)
            self._pump.close(Ending.STOPPED, "The agent stops.")
        with suppress(TimeoutError, StreamLost):
            async with asyncio.timeout(_DRAIN):
                await running

    def _hello(self) -> pb.Hello:
        settings = self._settings
        return pb.Hello(
            facility_id=settings.facility_id,
            instance_id=self._instance,
            store_id=settings.store_id,
            boot_counter=settings.boot_counter,
            software_version=settings.software_version,
            description=encode_description(self._core.description()),
            inventory=encode_inventory(self._core.inventory()),
            certificate_s=int(self._ways.seconds_left() or 0),
        )

    def _at_once(self, output: Output) -> bool:
        """Nothing that an agent hears needs to overtake."""
        return False

    async def _handle(self, output: Output) -> None:
        if isinstance(output, CommandArrived):
            assert self._end is not None
            self._running.start(output, self._reply_on(self._end))
        elif isinstance(output, Opened):
            self._floor = max(self._floor, output.epoch)
            self._opened_at = asyncio.get_running_loop().time()
            log.info("Connected to the hub, session %s.", output.session_id)
            if self._way is not None:
                await asyncio.to_thread(self._ways.opened, self._way)
            self._set_connected(connected=True)

    def _reply_on(self, end: AgentEnd) -> Callable[[pb.Result], None]:
        """An answer belongs to the session that was asked; in a later one the ticket means something else."""

        def reply(result: pb.Result) -> None:
            if end.answer(result) and self._pump is not None:
                self._pump.wake()

        return reply

    def _on_event(self, event: Event) -> None:
        if self._end is None or self._pump is None:
            return  # the next Hello tells it
        try:
            self._end.report(*encode_event(event))
        except (ValueError, TypeError):
            log.exception("An event cannot be sent.")
            return
        self._pump.wake()

    def _pause(self, closed: Closed) -> float:
        self.ending = closed
        lasted = 0.0
        if self._opened_at is not None:
            lasted = asyncio.get_running_loop().time() - self._opened_at
        pause = self._backoff.pause(lasted, closed.reconnect_after)
        log.warning("The link ended (%s): %s Next attempt in %.1f s.", closed.ending, closed.message, pause)
        return pause

    def _set_connected(self, *, connected: bool) -> None:
        if connected is not self._connected:
            self._connected = connected
            if self.on_change is not None:
                self.on_change(connected)
