"""`Links` of a process that holds no session: asks the hub that does, and follows a facility that moves."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass
from random import SystemRandom
from typing import Any

import grpc
import grpc.aio

from central_portal.link.metrics import RELAY_RETRIES
from central_portal.link.ports import HubPlace, OpenOrder, Places, SealedBody, Topic, Wakes
from central_portal.link.relay import FACILITY, METHOD, PROBLEM, TAKEN, RelayKey
from shared import trace
from shared.commands import Answer, Verb
from shared.errors import DeadlineExceeded, FacilityUnavailable, InvalidRequest
from shared.link.channel import COMMON_OPTIONS
from shared.link.terms import MESSAGE_BYTES
from shared.wire.addresses import parse_address
from shared.wire.commands import decode_answer
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.parse import parse
from shared.wire.status import decode_problem, error_of

log = logging.getLogger(__name__)
CHANNELS = 32
_GRACE = 0.25
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.25
_OPTIONS = (
    *COMMON_OPTIONS,
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
)
_aio: Any = grpc.aio  # its published types lag behind


class _NotTaken(Exception):
    """No hub took the ask: it may be asked elsewhere. The message is a metric's label."""


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """How hubs are reached: with TLS under `roots` (PEM; None: the system's), `name` being the one in certificates.

    With `plaintext` without, on loopback only.
    """

    plaintext: bool = False
    roots: bytes | None = None
    name: str = ""


class RelayLinks:
    """Implements `ports.Links` over `places`."""

    def __init__(self, settings: RelaySettings, key: RelayKey, places: Places, wakes: Wakes) -> None:
        self._settings, self._key, self._places, self._wakes = settings, key, places, wakes
        self._channels: OrderedDict[str, Any] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()

    def online(self, facility_id: str) -> bool:
        """Whether some hub holds a session of this facility's agent."""
        return self._places.place(facility_id).hub is not None

    async def ask(self, facility_id: str, verb: Verb, command: SealedBody, timeout_s: float) -> Answer:
        """See `ports.Links.ask`; while the facility moves from hub to hub it is asked again, within the time."""
        if not 0 < timeout_s <= 600:
            raise InvalidRequest("A command waits for at most ten minutes.")
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + timeout_s, _FIRST_PAUSE
        at = self._places.place(facility_id)
        while at.hub is not None or at.moving:
            left = until - loop.time()
            if left <= 0:
                break
            if at.hub is not None:
                try:
                    return decode_answer(verb, await self._send(at.hub, facility_id, command, left))
                except _NotTaken as error:
                    RELAY_RETRIES.labels(str(error)).inc()
            await asyncio.sleep(min(left, SystemRandom().uniform(pause / 2, pause)))
            pause = min(2 * pause, _LONGEST_PAUSE)
            at = await self._places.look(facility_id)
        raise FacilityUnavailable

    def deliver(self, facility_id: str, order: OpenOrder | None = None) -> None:
        """See `ports.Links.deliver`."""
        self._wakes.tell(Topic.ORDER, facility_id)

    async def close(self) -> None:
        """Close every connection."""
        channels, self._channels = list(self._channels.values()), OrderedDict()
        for channel in channels:
            await channel.close()

    async def _send(self, hub: HubPlace, facility_id: str, command: SealedBody, left: float) -> pb.Result:
        message = pb.Command(
            body=command.body, grant_id=command.grant_id, mac=command.mac, timeout_ms=max(1, int(left * 1000))
        )
        call = self._channel(hub.address).unary_unary(METHOD)(
            message.SerializeToString(), timeout=left + _GRACE,
            metadata=(("authorization", f"Bearer {self._key.token()}"), (FACILITY, facility_id), ("traceparent", trace.current())),
        )  # fmt: skip
        try:
            return parse(pb.Result, await call, MESSAGE_BYTES)
        except _aio.AioRpcError as error:
            raise _meaning(error, hub) from error

    def _channel(self, address: str) -> Any:
        channel = self._channels.get(address)
        if channel is None:
            channel = self._channels[address] = self._dial(address)
            if len(self._channels) > CHANNELS:
                _, oldest = self._channels.popitem(last=False)
                closing = asyncio.ensure_future(oldest.close(grace=60.0))
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)
        self._channels.move_to_end(address)
        return channel

    def _dial(self, address: str) -> Any:
        if self._settings.plaintext:
            if not parse_address(address).is_loopback:
                raise FacilityUnavailable("A hub is reached without TLS on this machine only.")
            return _aio.insecure_channel(address, options=_OPTIONS)
        name = (("grpc.ssl_target_name_override", self._settings.name),) if self._settings.name else ()
        return _aio.secure_channel(
            address, grpc.ssl_channel_credentials(self._settings.roots), options=(*_OPTIONS, *name)
        )


def _meaning(error: Any, hub: HubPlace) -> Exception:
    """What a failed call says: taken or not, and what became of it."""
    code, trailing = error.code(), dict(error.trailing_metadata() or ())
    taken = TAKEN in dict(error.initial_metadata() or ())
    if code is grpc.StatusCode.ABORTED and PROBLEM in trailing:
        return error_of(decode_problem(parse(pb.Problem, trailing[PROBLEM], MESSAGE_BYTES)))
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded()
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        return _NotTaken("moved")
    if code is grpc.StatusCode.UNAVAILABLE and not taken:
        return _NotTaken("unreachable")
    if code is not grpc.StatusCode.UNAVAILABLE:
        log.error("The hub at %s refused an ask: %s", hub.address, code.name)
    return FacilityUnavailable()
