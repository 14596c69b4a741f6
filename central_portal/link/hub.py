"""The hub: the centre's gRPC end of the links, beside the web server in one event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from random import SystemRandom
from typing import Any

import grpc
import grpc.aio

from central_portal.link.delivery import Delivery
from central_portal.link.leases import keep_leases
from central_portal.link.metrics import CONNECTS, ENDINGS, EPOCH, QUARANTINES, SESSIONS
from central_portal.link.ports import (
    Admission,
    Beat,
    HelloFacts,
    HubPlace,
    LinkEvents,
    Links,
    OrderQueue,
    Registry,
    SealedBody,
)
from central_portal.link.relay import RelayKey, RelayService
from central_portal.link.session import Session
from central_portal.link.settings import HubMisconfigured, HubSettings
from central_portal.link.streams import bearer, reader, writer
from central_portal.link.tokens import TokenCheck, TokenRefused
from shared.commands import Answer, Verb
from shared.errors import FacilityUnavailable
from shared.facilities import FacilityDescription
from shared.link.channel import COMMON_OPTIONS, CONNECT, SERVICE
from shared.link.outputs import Ending
from shared.link.pump import StreamLost
from shared.workspaces import WorkspaceInventory

__all__ = ["Hub", "HubMisconfigured", "HubSettings", "LocalLinks"]

log = logging.getLogger(__name__)
_aio: Any = grpc.aio  # its published types lag behind
_REFUSAL = "The token was refused."
_STOPPING = "The hub stops."
_STREAMS = 2000
_LAST_ANSWERS = 1.0
_OPTIONS = (
    *COMMON_OPTIONS,
    ("grpc.so_reuseport", 0),  # a second hub on the same port must fail, not share the agents
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.max_concurrent_streams", 16),
)


class Hub:
    """Lets agents in and routes asks to them; the newest session of a facility wins.

    `events.disconnected` follows every `events.connected`, exactly once. `clock` gives POSIX seconds
    and is used for tokens alone. With `relay_key` web processes that have it may ask through this hub.
    """

    def __init__(
        self, settings: HubSettings, registry: Registry, events: LinkEvents, orders: OrderQueue,
        clock: Callable[[], float] = time.time, relay_key: RelayKey | None = None,
    ) -> None:  # fmt: skip
        self._settings, self._registry, self._events = settings, registry, events
        self._tokens = TokenCheck(settings.audience, registry, clock)
        self._relay_key = relay_key
        self._server: Any = None
        self._sessions: dict[str, Session] = {}
        self._epochs: dict[Session, int] = {}
        self._tasks: dict[Session, asyncio.Task[None]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._renewing: asyncio.Task[None] | None = None
        self._stopping = False
        self.id = f"{socket.gethostname()[:40]}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._delivery = Delivery(orders, self._sessions)
        self._delivering: asyncio.Task[None] | None = None
        self.port = 0
        self.links: Links = LocalLinks(self._sessions, self._delivery)

    async def start(self) -> None:
        """Listens; `port` then says where. Raises HubMisconfigured, also when the port is taken."""
        address = self._settings.address()
        credentials = await asyncio.to_thread(self._credentials)
        server = _aio.server(options=_OPTIONS, maximum_concurrent_rpcs=_STREAMS)
        handler = grpc.stream_stream_rpc_method_handler(self._connect)  # frames stay bytes: the link reads them
        handlers = [grpc.method_handlers_generic_handler(SERVICE, {CONNECT: handler})]
        if self._relay_key is not None:
            handlers.append(RelayService(self._relay_key, self._sessions.get).handler())
        server.add_generic_rpc_handlers(tuple(handlers))
        try:
            if credentials is None:
                self.port = server.add_insecure_port(str(address))
            else:
                self.port = server.add_secure_port(str(address), credentials)
        except RuntimeError as error:
            raise HubMisconfigured(f"The hub cannot listen on {address}.") from error
        await server.start()
        self._server = server
        self._delivering = asyncio.create_task(self._delivery.run())
        self._renewing = asyncio.create_task(
            keep_leases(self._registry, self.id, self._held, self.overtaken, self._settings.lease)
        )
        log.info("The hub listens on %s:%d.", address.host, self.port)

    @property
    def serving(self) -> bool:
        """Whether it lets agents in."""
        return self._server is not None and not self._stopping

    def wake(self, facility_id: str | None) -> None:
        """Orders of a facility were committed; None for perhaps any."""
        for name in self._sessions if facility_id is None else (facility_id,):
            self._delivery.wake(name)

    async def stop(self) -> None:
        """Tells the agents, which open their next session elsewhere and leave; then closes what is left.

        Until an agent has left, its session takes asks as before.
        """
        self._stopping = True
        drain = self._settings.drain
        for session in list(self._tasks):
            session.drain(drain, SystemRandom().uniform(0.0, drain / 2))
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=drain)
        left = list(self._tasks)
        pending = [future for session in left for future in session.finish()]
        if pending:
            await asyncio.wait(pending, timeout=_LAST_ANSWERS)
        for session in left:
            session.close(Ending.DRAINED, _STOPPING)
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait([self._renewing])
        if self._server is not None:
            await self._server.stop(grace=1.0)
        if self._delivering is not None:
            self._delivering.cancel()

    def _credentials(self) -> Any:
        certificate, key = self._settings.certificate, self._settings.key
        if certificate is None or key is None:
            return None
        return grpc.ssl_server_credentials([(_content(key), _content(certificate))])

    async def _connect(self, _frames: Any, context: Any) -> None:
        """One RPC: the token first, then the session, in a task of its own that outlives a cancelled RPC."""
        facility_id = await self._proven(context)
        if facility_id is None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, _REFUSAL)
            return
        if self._stopping:
            await context.abort(grpc.StatusCode.UNAVAILABLE, _STOPPING)
            return
        session = Session(
            facility_id,
            self._settings,
            self._events,
            reader(context),
            writer(context),
            self._admit,
            self._delivery,
        )
        task = asyncio.create_task(self._serve(session))
        self._tasks[session] = task
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            session.close(Ending.LOST, "The stream ended.")
            raise

    async def _proven(self, context: Any) -> str | None:
        """The facility that the stream's token proves; None, and a line in the log, for any other stream."""
        try:
            return await self._tokens.facility_of(bearer(context.invocation_metadata()))
        except TokenRefused as error:
            log.warning("An agent at %s was refused: %s.", context.peer(), error)
        except Exception:  # whatever fails here must let nobody in, and tell a stranger nothing
            log.exception("A token could not be checked.")
        return None

    async def _serve(self, session: Session) -> None:
        ending = Ending.LOST
        try:
            closed = await session.run()
            ending = closed.ending
            log.info("The session of %s ended (%s): %s", session.facility_id, ending, closed.message)
        finally:
            if self._sessions.get(session.facility_id) is session:
                del self._sessions[session.facility_id]
            epoch = self._epochs.pop(session, None)
            try:
                if epoch is not None:
                    await self._ended(session.facility_id, epoch, ending)
            finally:
                del self._tasks[session]

    async def _ended(self, facility_id: str, epoch: int, ending: Ending) -> None:
        ENDINGS.labels(ending).inc()
        SESSIONS.set(len(self._epochs))
        try:
            await self._registry.close(facility_id, epoch, ending)
        except Exception:  # then its lease runs out
            log.exception("The end of %s's session could not be stored.", facility_id)
        await self._events.disconnected(facility_id, epoch)

    async def _admit(
        self, session: Session, hello: HelloFacts, description: FacilityDescription, inventory: WorkspaceInventory
    ) -> Admission:
        """Makes `session` the facility's: an older one is cut first, with all that it has to report."""
        facility_id = session.facility_id
        async with self._locks.setdefault(facility_id, asyncio.Lock()):
            older = self._sessions.get(facility_id)
            if older is not None:
                older.close(Ending.SUPERSEDED, "A newer session of this facility was opened.")
                await asyncio.wait([self._tasks[older]])
            if self._stopping:
                raise StreamLost(_STOPPING)
            admission = await self._registry.admit(facility_id, hello, self.place)
            if admission.quarantined:
                QUARANTINES.labels(facility_id).inc()
                log.error("%s is quarantined: %s", facility_id, admission.quarantined)
                session.close(Ending.QUARANTINED, admission.quarantined)
                raise StreamLost(admission.quarantined)
            self._epochs[session] = admission.epoch  # from here on `disconnected` is owed, whatever happens
            CONNECTS.labels(hello.previous_ending or "FIRST").inc()
            EPOCH.labels(facility_id).set(admission.epoch)
            SESSIONS.set(len(self._epochs))
            await self._events.connected(facility_id, admission.epoch, description, inventory)
            self._sessions[facility_id] = session
            return admission

    @property
    def place(self) -> HubPlace:
        """Who this hub is, and where web processes reach it."""
        address = self._settings.address()
        return HubPlace(self.id, self._settings.advertise or f"{address.host}:{self.port}")

    def _held(self) -> Mapping[str, Beat]:
        sessions = self._sessions.items()
        return {name: Beat(self._epochs[session], session.rtt) for name, session in sessions}

    def overtaken(self, facility_id: str, epoch: int, *, at_once: bool = False) -> None:
        """The facility's session is now that of `epoch`, elsewhere. An older one here takes no more asks.

        Those under way may still be answered for a moment, unless `at_once`.
        """
        session = self._sessions.get(facility_id)
        if session is None or self._epochs[session] >= epoch:
            return
        del self._sessions[facility_id]
        log.warning("The session of %s was overtaken by a newer one.", facility_id)
        retiring = asyncio.create_task(self._retire(session, 0.0 if at_once else self._settings.drain))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)

    async def _retire(self, session: Session, within: float) -> None:
        pending = session.under_way()
        if pending and within:
            await asyncio.wait(pending, timeout=within)
        session.close(Ending.SUPERSEDED, "A newer session of this facility was opened.")


class LocalLinks:
    """`ports.Links` over the sessions of this process."""

    def __init__(self, sessions: dict[str, Session], delivery: Delivery) -> None:
        self._sessions, self._delivery = sessions, delivery

    def online(self, facility_id: str) -> bool:
        """Whether a session of this facility's agent is open and alive."""
        session = self._sessions.get(facility_id)
        return session is not None and session.ready

    async def ask(self, facility_id: str, verb: Verb, command: SealedBody, timeout_s: float) -> Answer:
        """See `ports.Links.ask`."""
        session = self._sessions.get(facility_id)
        if session is None:
            raise FacilityUnavailable
        return await session.ask(verb, command, timeout_s)

    def deliver(self, facility_id: str) -> None:
        """See `ports.Links.deliver`."""
        self._delivery.wake(facility_id)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise HubMisconfigured(f"{path} cannot be read: {error.strerror}.") from error
