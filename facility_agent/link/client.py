"""The agent's way to the hub: dials out, stays connected for ever, carries out what it is asked."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from typing import cast

from facility_agent.link.backoff import Backoff
from facility_agent.link.desk import RecordedDesk
from facility_agent.link.events import Reports
from facility_agent.link.kept import LogWords
from facility_agent.link.leaving import Leaving
from facility_agent.link.orders import Floor, NoOrders, Orders
from facility_agent.link.results import Results
from facility_agent.link.running import Running
from facility_agent.link.session import Ears, Session
from facility_agent.link.settings import LinkMisconfigured, LinkSettings
from facility_agent.link.stream import open_stream
from facility_agent.link.ways import ByHand, Way, Ways
from facility_agent.link.websocket import open_websocket
from facility_agent.ports.egress import NoEgress
from facility_agent.ports.link import Core, OrderDesk
from facility_agent.ports.meters import Meters, NoMeters
from facility_agent.ports.status import LinkStatus
from shared.errors import BackendUnavailable, InvalidRequest
from shared.link.outputs import Closed, Ending, Opened
from shared.wire.facilities import encode_description
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.sieve import Sieve, schema
from shared.wire.workspaces import encode_inventory

__all__ = ["AgentLink", "LinkMisconfigured", "LinkSettings"]

log = logging.getLogger(__name__)
_STORE_PAUSE = 2.0


class AgentLink:
    """The link of one agent. `run` it once, as a task of the agent's event loop.

    Usually there is one session. When the hub drains, or there is a newer certificate, the next one is opened
    first; then the older ends. `on_change` is called with `connected` whenever that changes. `ending` says why
    the last session ended, None before the first one did. `ways` says how streams are opened; by hand, as the
    settings say, without. Without a `desk` no order is taken; without `leaving` all of the contract passes and nothing is recorded.
    """

    def __init__(
        self, settings: LinkSettings, core: Core, clock: Callable[[], float] = time.time, ways: Ways | None = None,
        desk: OrderDesk | None = None, meters: Meters | None = None, leaving: Leaving | None = None,
    ) -> None:  # fmt: skip
        self._settings, self._core = settings, core
        self._leaving = leaving or Leaving(Sieve(schema()), NoEgress())
        self._desk = RecordedDesk(desk or NoOrders(), self._leaving)
        self._reports = Reports(self._leaving, self._tell, self.renewed)
        self._ways: Ways = ways or ByHand(settings, clock)
        self._meters, self._clock = meters or NoMeters(), clock
        self._instance = uuid.uuid4().hex
        self._slots = asyncio.Semaphore(settings.commands_at_once)
        self._backoff = Backoff(
            settings.first_pause, settings.longest_pause, settings.stable_after,
            refused_cap=settings.refused_pause,
        )  # fmt: skip
        self._floor = Floor(self._desk)
        self._results = Results(self._desk, settings.terms.heartbeat_every)
        self._orders = Orders(self._desk, self._floor)
        self._sessions: dict[Session, asyncio.Task[Closed]] = {}
        self._ways_of: dict[Session, Way] = {}
        self._newest: Session | None = None
        self._connected_since: float | None = None
        self._next_try: float | None = None
        self._told: tuple[str, str] = ("", "")
        self.on_change: Callable[[bool], None] | None = None
        self.ending: Closed | None = None

    @property
    def connected(self) -> bool:
        """Whether the hub has let this agent in and the session is alive."""
        return self._connected_since is not None

    def renewed(self) -> None:
        """There is a newer certificate: opens the next session with it, then ends this one."""
        if self._newest is not None:
            self._newest.replace()

    def status(self) -> LinkStatus:
        """How the link stands, for the operator."""
        newest, ending = self._newest, self.ending
        return LinkStatus(
            connected_since=self._connected_since,
            hub=self._ways_of[newest].target if newest in self._ways_of and newest else "",
            session_id=newest.session_id if newest else "",
            epoch=newest.epoch if newest else self._floor.value,
            round_trip=newest.rtt if newest else None,
            ending=(ending.told or ending.ending.value) if ending else "",
            ending_message=ending.message if ending else "",
            next_try=self._next_try,
            certificate_s=self._ways.seconds_left(),
            sessions=len(self._sessions),
        )

    async def run(self) -> None:
        """Connects and reconnects until cancelled; then says goodbye.

        Raises LinkMisconfigured at once, before any connection, when the settings or the key cannot be used.
        """
        await asyncio.to_thread(self._ways.prepare)
        await self._load_floor()
        unsubscribe = (self._core.subscribe(self._reports.offer), self._desk.on_settled(self._results.offer))
        sending = (asyncio.create_task(self._results.run()), asyncio.create_task(self._reports.run()))
        try:
            while True:
                pause = await self._one()
                self._next_try = self._clock() + pause
                await asyncio.sleep(pause)
                self._next_try = None
        finally:
            for undo in unsubscribe:
                undo()
            tasks = (*sending, *self._sessions.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._orders.stop()

    async def _load_floor(self) -> None:
        while True:
            try:
                return await self._floor.load()
            except BackendUnavailable:
                await asyncio.sleep(_STORE_PAUSE)

    # --- one session, until it ends or the next one should be opened beside it

    async def _one(self) -> float:
        """The pause before the next one."""
        opening = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._attempt(opening))
        try:
            await asyncio.wait((task, opening), return_when=asyncio.FIRST_COMPLETED)
            if not opening.done():
                return self._pause(None, task.result())
            session: Session = opening.result()
            await asyncio.wait((task, session.successor_in), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        if task.done():
            return self._pause(session, task.result())
        log.info("The next session is opened before this one ends.")
        return self._backoff.pause(self._settings.stable_after, session.successor_in.result())

    async def _attempt(self, opening: asyncio.Future[Session]) -> Closed:
        try:
            way = await asyncio.to_thread(self._ways.way)
        except LinkMisconfigured as error:  # a file was damaged since the start; it may be mended meanwhile
            return Closed(Ending.LOST, str(error))
        opened = open_websocket if "://" in way.target else open_stream
        async with opened(way.target, way.credentials, way.metadata) as stream:
            running = Running(self._core, self._slots, self._leaving)
            ears = Ears(self._opened, self._orders.start, self._results.acknowledged)
            words = LogWords(self._leaving)
            try:
                hello = self._hello()
                counts = self._leaving.sift_hello(hello)
                session = Session(self._settings, hello, self._floor.value, stream, running, ears, words)
            except (InvalidRequest, ValueError, TypeError):
                log.exception("What this facility says of itself cannot be sent.")
                return Closed(Ending.PROTOCOL, "What this facility says of itself cannot be sent.")
            self._ways_of[session] = way
            self._begun(session)
            opening.set_result(session)
            try:
                await self._leaving.hello(hello, counts)
                return await session.run()
            except BackendUnavailable as error:
                return Closed(Ending.LOST, error.message)
            finally:
                self._ended(session)

    def _begun(self, session: Session) -> None:
        """From its Hello on it hears every event: what that did not say yet, nothing else will."""
        task = self._sessions[session] = cast("asyncio.Task[Closed]", asyncio.current_task())
        task.add_done_callback(lambda _: self._sessions.pop(session))

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
            previous_ending=self._previous(),
        )

    def _previous(self) -> str:
        if self._newest is not None:
            return Ending.DRAINED.value  # it goes on until this one is there
        return self.ending.ending.value if self.ending else ""

    async def _opened(self, session: Session, opened: Opened) -> None:
        await self._floor.rise(opened.epoch)
        if self._floor.value > opened.epoch:
            session.close(Ending.STALE_EPOCH, "A newer session was opened meanwhile.")
            return
        await asyncio.to_thread(self._ways.opened, self._ways_of[session])
        self._newest = session
        self._results.opened(session)
        log.info("Connected to the hub, session %s, epoch %d.", opened.session_id, opened.epoch)
        if opened.reconcile:
            log.warning("The centre knows another store of this agent and compares what runs here.")
        self._told = ("", "")
        self._set_connected(connected=True)
        for older in self._sessions:
            if older is not session:
                older.finish()

    def _ended(self, session: Session) -> None:
        self._ways_of.pop(session, None)
        self._results.closed(session)
        if self._newest is session:
            self._newest = next(
                (other for other in self._sessions if other is not session and other.is_open), None
            )
            if self._newest is not None:
                self._results.opened(self._newest)
        self._set_connected(connected=self._newest is not None)

    def _pause(self, session: Session | None, closed: Closed) -> float:
        self.ending = closed
        self._meters.ended(closed.told or closed.ending.value)
        lasted = 0.0
        if session is not None and session.opened_at is not None:
            lasted = asyncio.get_running_loop().time() - session.opened_at
        refused = closed.ending is Ending.REFUSED or (session is not None and session.refused)
        pause = self._backoff.pause(lasted, closed.reconnect_after, refused=refused)
        told = (closed.told or closed.ending.value, closed.message)
        level = logging.WARNING if told != self._told else logging.DEBUG
        self._told = told
        log.log(level, "The link ended (%s): %s Next attempt in %.1f s.", *told, pause)
        return pause

    # --- facts

    def _tell(self, key: str, event: pb.Event) -> None:
        for session in self._sessions:
            try:
                session.report(key, event)
            except Exception:  # one session's fault is no other's
                log.exception("An event could not be reported in a session.")

    def _set_connected(self, *, connected: bool) -> None:
        if connected is not self.connected:
            self._connected_since = self._clock() if connected else None
            if self.on_change is not None:
                self.on_change(connected)
