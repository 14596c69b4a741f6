"""The hub: the centre's gRPC end of the links, beside the web server in one event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from random import SystemRandom
from typing import Any

import grpc
import grpc.aio

from central_portal.link.bulk import BulkService
from central_portal.link.credentials import server_credentials
from central_portal.link.delivery import Delivery
from central_portal.link.enrolment import EnrolmentService
from central_portal.link.heads import Heads
from central_portal.link.identity import CallerRefused, Identity
from central_portal.link.leases import keep_leases
from central_portal.link.local_links import LocalLinks
from central_portal.link.metrics import CONNECTS, ENDINGS, EPOCH, QUARANTINES, SESSIONS
from central_portal.link.ports import (
    Admission,
    Beat,
    Caller,
    Enrolments,
    HelloFacts,
    HubAuthority,
    HubPlace,
    LinkEvents,
    Links,
    OrderQueue,
    Registry,
)
from central_portal.link.relay import RelayKey, RelayService
from central_portal.link.session import Session
from central_portal.link.settings import HubMisconfigured, HubSettings
from central_portal.link.streams import Stream, stream_of
from central_portal.link.tokens import TokenCheck
from central_portal.link.websocket import WebSocketListener
from shared.link.channel import COMMON_OPTIONS, CONNECT, PUT_BULK, SERVICE
from shared.link.outputs import Ending
from shared.link.pump import StreamLost
from shared.wire.addresses import Address
from shared.workspaces import WorkspaceInventory

__all__ = ["Hub", "HubMisconfigured", "HubSettings", "LocalLinks"]

log = logging.getLogger(__name__)
_aio: Any = grpc.aio  # its published types lag behind
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
    and is used for tokens alone. With `relay_key` web processes that have it may ask through this hub; with
    `enrolments` and `authority` agents enrol and come with certificates.
    """

    def __init__(
        self, settings: HubSettings, registry: Registry, events: LinkEvents, orders: OrderQueue,
        clock: Callable[[], float] = time.time, relay_key: RelayKey | None = None,
        enrolments: Enrolments | None = None, authority: HubAuthority | None = None,
    ) -> None:  # fmt: skip
        self._settings, self._registry, self._events = settings, registry, events
        self._enrolments, self._authority = enrolments, authority
        self._identity = Identity(TokenCheck(settings.audience, registry, clock), registry, enrolments)
        self._relay_key = relay_key
        self._servers: list[Any] = []
        self._sessions: dict[str, Session] = {}
        self._epochs: dict[Session, int] = {}
        self._tasks: dict[Session, asyncio.Task[None]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._heads = Heads(registry)
        self._background: list[asyncio.Task[None]] = []
        self._stopping = False
        self.id = f"{socket.gethostname()[:40]}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._delivery = Delivery(orders, self._sessions)
        self._websockets = WebSocketListener(self._identity.facility_of_token, self._carry)
        self.port = self.mutual_port = self.websocket_port = 0
        self.links: Links = LocalLinks(self._sessions, self._delivery)

    async def start(self) -> None:
        """Listens; `port` and `mutual_port` then say where. Raises HubMisconfigured, also when a port is taken."""
        address, mutual = self._settings.address(), self._settings.mutual_address()
        self.port = await self._listen(address, secure=not self._settings.plaintext, mutual=False)
        if mutual is not None and self._enrolments is not None:
            self.mutual_port = await self._listen(mutual, secure=True, mutual=True)
        websocket = self._settings.websocket_address()
        if websocket is not None:
            self.websocket_port = await self._websockets.start(websocket)
            log.info("The hub listens on %s:%d for WebSockets.", websocket.host, self.websocket_port)
        leases = keep_leases(self._registry, self.id, self._held, self.overtaken, self._settings.lease)
        self._background = [
            asyncio.create_task(each) for each in (self._delivery.run(), self._heads.run(), leases)
        ]

    async def _listen(self, address: Address, *, secure: bool, mutual: bool) -> int:
        """One server per port, so that strangers at one cannot use up the streams of the other."""
        server = _aio.server(options=_OPTIONS, maximum_concurrent_rpcs=_STREAMS)
        handler = grpc.stream_stream_rpc_method_handler(self._connect)  # frames stay bytes: the link reads them
        bulk = grpc.stream_unary_rpc_method_handler(BulkService(lambda: self._epochs).put)
        handlers = [grpc.method_handlers_generic_handler(SERVICE, {CONNECT: handler, PUT_BULK: bulk})]
        if self._enrolments is not None:
            handlers.append(EnrolmentService(self._enrolments, self._mutual, self._settings.audience).handler())
        if self._relay_key is not None and not mutual:
            handlers.append(RelayService(self._relay_key, self._sessions.get).handler())
        server.add_generic_rpc_handlers(tuple(handlers))
        try:
            if secure:
                credentials = await asyncio.to_thread(
                    server_credentials, self._settings, self._authority, mutual=mutual
                )
                port = int(server.add_secure_port(str(address), credentials))
            else:
                port = int(server.add_insecure_port(str(address)))
        except RuntimeError as error:
            raise HubMisconfigured(f"The hub cannot listen on {address}.") from error
        await server.start()
        self._servers.append(server)
        log.info("The hub listens on %s:%d%s.", address.host, port, " for certificates" if mutual else "")
        return port

    def _mutual(self) -> str:
        return str(Address(self._settings.dialled().host, self.mutual_port)) if self.mutual_port else ""

    @property
    def serving(self) -> bool:
        """Whether it lets agents in."""
        return bool(self._servers) and not self._stopping

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
        for kept in self._background:
            kept.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await asyncio.gather(self._websockets.stop(), *(server.stop(grace=1.0) for server in self._servers))

    async def _connect(self, _frames: Any, context: Any) -> None:
        """One RPC: the caller first, then the session, in a task of its own that outlives a cancelled RPC."""
        try:
            caller = await self._identity.facility_of(context)
        except CallerRefused as refused:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(refused))
            return
        if self._stopping:
            await context.abort(grpc.StatusCode.UNAVAILABLE, _STOPPING)
            return
        await self._carry(caller, stream_of(context))

    async def _carry(self, caller: Caller, stream: Stream) -> None:
        """One session on a stream of a proven caller; none when the hub stops."""
        if self._stopping:
            return
        session = Session(
            caller.facility_id, self._settings, self._events, stream, self._admit, self._delivery, self._heads
        )
        task = asyncio.create_task(self._serve(session))
        self._tasks[session] = task
        age = self._settings.session_age * SystemRandom().uniform(0.8, 1.2)
        recycle = asyncio.get_running_loop().call_later(age, session.drain, self._settings.drain, 0.0)
        try:
            with self._identity.watching(caller, lambda why: session.close(Ending.REFUSED, why)):
                await asyncio.shield(task)
        except asyncio.CancelledError:
            session.close(Ending.LOST, "The stream ended.")
            raise
        finally:
            recycle.cancel()

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
        await self._heads.keep([facility_id])
        await self._events.disconnected(facility_id, epoch)

    async def _admit(self, session: Session, hello: HelloFacts, inventory: WorkspaceInventory) -> Admission:
        """Makes `session` the facility's. An older one records nothing from here on, and ends when it has answered."""
        facility_id = session.facility_id
        async with self._locks.setdefault(facility_id, asyncio.Lock()):
            if self._stopping:
                raise StreamLost(_STOPPING)
            admission = await self._registry.admit(facility_id, hello, self.place)
            if admission.quarantined:
                self.overtaken(facility_id, admission.epoch, at_once=True)
                QUARANTINES.labels(facility_id).inc()
                log.error("%s is quarantined: %s", facility_id, admission.quarantined)
                session.close(Ending.QUARANTINED, admission.quarantined)
                raise StreamLost(admission.quarantined)
            self._heads.opened(facility_id, admission.epoch, admission.head)
            self._epochs[session] = admission.epoch  # from here on `disconnected` is owed, whatever happens
            CONNECTS.labels(hello.previous_ending or "FIRST").inc()
            EPOCH.labels(facility_id).set(admission.epoch)
            SESSIONS.set(len(self._epochs))
            kept = await self._events.connected(facility_id, admission.epoch, inventory)
            self.overtaken(facility_id, admission.epoch)
            if not kept:  # the agent comes again, and says it again
                raise StreamLost("What the agent said of itself could not be kept.")
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
        pending = session.finish()
        if pending and within:
            await asyncio.wait(pending, timeout=within)
        session.close(Ending.SUPERSEDED, "A newer session of this facility was opened.")
