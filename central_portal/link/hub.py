"""The hub: the centre's gRPC end of the links, beside the web server in one event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from random import SystemRandom
from typing import Any

import grpc
import grpc.aio

from central_portal.link.credentials import server_credentials
from central_portal.link.enrolment import EnrolmentService
from central_portal.link.identity import CallerRefused, Identity
from central_portal.link.ports import Enrolments, HubAuthority, LinkEvents, Links, Registry, SealedBody
from central_portal.link.session import Session
from central_portal.link.settings import HubMisconfigured, HubSettings
from central_portal.link.tokens import TokenCheck
from shared.commands import Answer, Verb
from shared.errors import FacilityUnavailable
from shared.facilities import FacilityDescription
from shared.link.channel import COMMON_OPTIONS, CONNECT, SERVICE
from shared.link.outputs import Ending
from shared.link.pump import StreamLost
from shared.wire.addresses import Address
from shared.workspaces import WorkspaceInventory

__all__ = ["Hub", "HubMisconfigured", "HubSettings", "LocalLinks"]

log = logging.getLogger(__name__)
_aio: Any = grpc.aio  # its published types lag behind
_STOPPING = "The hub stops."
_STREAMS = 2000
_OPTIONS = (
    *COMMON_OPTIONS,
    ("grpc.so_reuseport", 0),  # a second hub on the same port must fail, not share the agents
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.max_concurrent_streams", 16),
)


class Hub:
    """Lets agents in and routes asks to them; the newest session of a facility wins.

    `events.disconnected` follows every `events.connected`, exactly once. `clock` gives POSIX seconds
    and is used for tokens alone. With `enrolments` and `authority` agents enrol and come with certificates.
    """

    def __init__(
        self, settings: HubSettings, registry: Registry, events: LinkEvents, clock: Callable[[], float] = time.time,
        enrolments: Enrolments | None = None, authority: HubAuthority | None = None,
    ) -> None:  # fmt: skip
        self._settings, self._registry, self._events = settings, registry, events
        self._enrolments, self._authority = enrolments, authority
        self._identity = Identity(TokenCheck(settings.audience, registry, clock), registry, enrolments)
        self._servers: list[Any] = []
        self._sessions: dict[str, Session] = {}
        self._epochs: dict[Session, int] = {}
        self._tasks: dict[Session, asyncio.Task[None]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._stopping = False
        self.port = self.mutual_port = 0
        self.links: Links = LocalLinks(self._sessions)

    async def start(self) -> None:
        """Listens; `port` and `mutual_port` then say where. Raises HubMisconfigured, also when a port is taken."""
        address, mutual = self._settings.address(), self._settings.mutual_address()
        self.port = await self._listen(address, secure=not self._settings.plaintext, mutual=False)
        if mutual is not None and self._enrolments is not None:
            self.mutual_port = await self._listen(mutual, secure=True, mutual=True)

    async def _listen(self, address: Address, *, secure: bool, mutual: bool) -> int:
        """One server per port, so that strangers at one cannot use up the streams of the other."""
        server = _aio.server(options=_OPTIONS, maximum_concurrent_rpcs=_STREAMS)
        handler = grpc.stream_stream_rpc_method_handler(self._connect)  # frames stay bytes: the link reads them
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {CONNECT: handler}),))
        if self._enrolments is not None:
            service = EnrolmentService(self._enrolments, self._mutual, self._settings.audience)
            server.add_generic_rpc_handlers((service.handler(),))
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

    async def stop(self) -> None:
        """Tells the agents, lets answers under way arrive for a moment, then closes every session."""
        self._stopping = True
        sessions = list(self._tasks)
        for session in sessions:
            session.drain(self._settings.drain, SystemRandom().uniform(0.0, self._settings.drain))
        pending = [future for session in sessions for future in session.under_way()]
        if pending:
            await asyncio.wait(pending, timeout=self._settings.drain)
        for session in list(self._tasks):
            session.close(Ending.DRAINED, _STOPPING)
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))
        await asyncio.gather(*(server.stop(grace=1.0) for server in self._servers))

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
        session = Session(
            caller.facility_id, self._settings, self._events, _reader(context), _writer(context), self._admit
        )
        task = asyncio.create_task(self._serve(session))
        self._tasks[session] = task
        try:
            with self._identity.watching(caller, lambda why: session.close(Ending.REFUSED, why)):
                await asyncio.shield(task)
        except asyncio.CancelledError:
            session.close(Ending.LOST, "The stream ended.")
            raise

    async def _serve(self, session: Session) -> None:
        try:
            closed = await session.run()
            log.info("The session of %s ended (%s): %s", session.facility_id, closed.ending, closed.message)
        finally:
            if self._sessions.get(session.facility_id) is session:
                del self._sessions[session.facility_id]
            epoch = self._epochs.pop(session, None)
            try:
                if epoch is not None:
                    await self._events.disconnected(session.facility_id, epoch)
            finally:
                del self._tasks[session]

    async def _admit(
        self, session: Session, description: FacilityDescription, inventory: WorkspaceInventory
    ) -> int:
        """Makes `session` the facility's: an older one is cut first, with all that it has to report."""
        facility_id = session.facility_id
        async with self._locks.setdefault(facility_id, asyncio.Lock()):
            older = self._sessions.get(facility_id)
            if older is not None:
                older.close(Ending.SUPERSEDED, "A newer session of this facility was opened.")
                await asyncio.wait([self._tasks[older]])
            if self._stopping:
                raise StreamLost(_STOPPING)
            epoch = await self._registry.next_epoch(facility_id)
            self._epochs[session] = epoch  # from here on `disconnected` is owed, whatever happens
            await self._events.connected(facility_id, epoch, description, inventory)
            self._sessions[facility_id] = session
            return epoch


class LocalLinks:
    """`ports.Links` over the sessions of this process."""

    def __init__(self, sessions: dict[str, Session]) -> None:
        self._sessions = sessions

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


def _reader(context: Any) -> Callable[[], Any]:
    async def read() -> bytes | None:
        try:
            data = await context.read()
        except Exception as error:  # gRPC raises internal types here; all mean that the stream is over
            raise StreamLost("The stream broke.") from error
        return None if data is _aio.EOF else data

    return read


def _writer(context: Any) -> Callable[[bytes], Any]:
    async def write(data: bytes) -> None:
        try:
            await context.write(data)
        except Exception as error:  # as above
            raise StreamLost("The stream broke.") from error

    return write
