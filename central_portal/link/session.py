"""One agent's session at the hub."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from typing import Protocol

from central_portal.link.bucket import Bucket
from central_portal.link.heads import Heads
from central_portal.link.ports import Admission, HelloFacts, LinkEvents, OpenOrder, SealedBody
from central_portal.link.session_orders import AGAIN, SessionOrders
from central_portal.link.settings import HubSettings
from central_portal.link.streams import Stream
from shared import trace
from shared.commands import Answer, Verb
from shared.errors import ParasolError
from shared.facilities import FacilityDescription
from shared.link.centre_end import CentreEnd
from shared.link.outputs import Closed, Ending, Greeted, Output, PeerDrains, Reported, Settled
from shared.link.pump import Pump
from shared.restores import DatasetReport
from shared.wire import text
from shared.wire.commands import decode_answer
from shared.wire.events import Event, decode_event
from shared.wire.facilities import decode_description, encode_description
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.text import Malformed
from shared.wire.workspaces import decode_inventory
from shared.workspaces import WorkspaceInventory

log = logging.getLogger(__name__)
REPORTS_AT_ONCE = 16
"""What an agent says of its workspaces is written while the next words are read: a result must not wait for that."""
Read = Callable[[], Awaitable[bytes | None]]
Admit = Callable[["Session", HelloFacts, WorkspaceInventory], Awaitable[Admission]]


class Dispatch(Protocol):
    """Who brings orders to sessions (`delivery.Delivery`)."""

    def wake(self, facility_id: str) -> None:
        """Its session takes orders now."""
        ...

    def room(self, facility_id: str) -> None:
        """Its session takes one more."""
        ...


class Session:
    """The hub's side of one stream whose token was good for `facility_id`.

    `admit` is awaited when a good Hello came: it makes this the facility's session and returns its
    epoch; until then nothing of the agent's reaches anybody. `heads` hears what
    each heartbeat says of the agent's egress log, and says what to ask of it.
    """

    def __init__(
        self, facility_id: str, settings: HubSettings, events: LinkEvents, stream: Stream, admit: Admit,
        dispatch: Dispatch, heads: Heads,
    ) -> None:  # fmt: skip
        self.facility_id = facility_id
        self.id = uuid.uuid4().hex
        self.peer = stream.peer
        self._events, self._admit, self._dispatch = events, admit, dispatch
        loop = asyncio.get_running_loop()
        self._clock = loop.time
        self._end = CentreEnd(settings.terms, loop.time())
        self._end.on_log_word = lambda word: heads.said(facility_id, self._end.epoch, word)
        self._end.log_asked = lambda: heads.asked(facility_id, self._end.epoch)
        self._bucket = Bucket(settings.events_per_second, settings.events_at_once, loop.time())
        self._charged = 0
        self._waiting: dict[int, asyncio.Future[pb.Result]] = {}
        self._slots, self._reporting = asyncio.Semaphore(REPORTS_AT_ONCE), set[asyncio.Task[None]]()
        self.orders = SessionOrders(
            facility_id, self._end, events, changed=lambda: self._pump.wake(), room=lambda: dispatch.room(facility_id),
            overtaken=lambda: self.close(Ending.SUPERSEDED, "A newer session of this facility was opened."),
        )  # fmt: skip
        self._pump = Pump(self._end, self._reader(stream.read), stream.write, self._handle, self._settle)

    @property
    def ready(self) -> bool:
        """Whether it takes asks."""
        return self._end.ready

    @property
    def rtt(self) -> float | None:
        """The round trip of its heartbeats in seconds, None before the first."""
        return self._end.rtt

    def under_way(self) -> list[asyncio.Future[pb.Result]]:
        """The asks that are not settled."""
        return list(self._waiting.values())

    async def run(self) -> Closed:
        """Serves the agent until the session ends, and says how it did."""
        try:
            return await self._pump.run()
        finally:
            await self.orders.finish()
            if self._reporting:
                await asyncio.wait(self._reporting)

    def deliver(self, order: OpenOrder) -> None:
        """Queue an order; needs `orders.free`."""
        self.orders.deliver(order, self._clock())

    async def ask(self, verb: Verb, command: SealedBody, timeout_s: float) -> Answer:
        """The agent's answer; raises as `ports.Links.ask` says."""
        return decode_answer(verb, await self.exchange(command, timeout_s))

    def exchange(self, command: SealedBody, timeout_s: float) -> Coroutine[None, None, pb.Result]:
        """Asks at once, and gives the coroutine of the answer; both raise as `ports.Links.ask` says."""
        ticket = self._end.ask(
            command.body, command.grant_id, command.mac, timeout_s, self._clock(), trace.current()
        )
        future: asyncio.Future[pb.Result] = asyncio.get_running_loop().create_future()
        self._waiting[ticket] = future
        self._pump.wake()
        return self._answered(ticket, future)

    async def _answered(self, ticket: int, future: asyncio.Future[pb.Result]) -> pb.Result:
        try:
            return await future
        finally:
            self._waiting.pop(ticket, None)
            self._end.forget(ticket)

    def close(self, ending: Ending, message: str) -> None:
        """Ends the session; its asks fail before this returns."""
        self._pump.close(ending, message, tell=True)

    def drain(self, deadline_s: float, reconnect_after_s: float) -> None:
        """Tells the agent that the hub is about to close, so that it opens its next session first."""
        self._end.drain(deadline_s, reconnect_after_s)
        self._pump.wake()

    def waits_for(self, ticket: int) -> bool:
        """Whether this ask is out at the agent."""
        return self._end.waits_for(ticket)

    def answered_beside(self, result: pb.Result) -> None:
        """The answer to one ask, which came beside the stream."""
        self._pump.settle(self._end.answered_beside(result))

    def finish(self) -> list[asyncio.Future[pb.Result]]:
        """Takes no more asks; those under way."""
        self._end.finish()
        return self.under_way()

    def _settle(self, output: Output) -> bool:
        if not isinstance(output, Settled):
            return self.orders.take(output)
        future = self._waiting.pop(output.ticket, None)
        if future is not None and not future.done():
            if isinstance(output.result, ParasolError):
                future.set_exception(output.result)
            else:
                future.set_result(output.result)
        return True

    def _reader(self, read: Read) -> Read:
        """Reads as fast as the agent may speak unasked: whoever floods waits, and only for itself."""

        async def bounded() -> bytes | None:
            pause = self._bucket.take(self._end.unasked - self._charged, self._clock())
            self._charged = self._end.unasked
            if pause > 0:
                await asyncio.sleep(min(pause, 1.0))
            return await read()

        return bounded

    async def _handle(self, output: Output) -> None:
        if isinstance(output, Greeted):
            await self._greeted(output)
        elif isinstance(output, Reported):
            await self._reported(output.event)
        elif isinstance(output, PeerDrains):
            log.info("The agent of %s is about to stop.", self.facility_id)

    async def _greeted(self, greeted: Greeted) -> None:
        hello = greeted.hello
        try:
            description = decode_description(hello.description)
            facts = _facts(self.id, hello, description)
            inventory = decode_inventory(hello.inventory)
        except Malformed as error:
            self.close(Ending.PROTOCOL, f"The Hello cannot be read: {error}")
            return
        if not hello.facility_id == description.facility_id == self.facility_id:
            self.close(Ending.PROTOCOL, "The Hello names another facility than the token.")
            return
        admission = await self._admit(self, facts, inventory)
        self._end.welcome(admission.epoch, self.id, greeted.version, self._clock(), reconcile=admission.reconcile)
        self._pump.wake()
        self._dispatch.wake(self.facility_id)

    async def _reported(self, event: pb.Event) -> None:
        try:
            fact = decode_event(event)
        except Malformed:
            log.warning("An event of %s cannot be read.", self.facility_id)
            return
        if isinstance(fact, FacilityDescription):
            if fact.facility_id == self.facility_id:
                await self._keep(fact)
        elif fact is not None:
            await self._slots.acquire()
            task = asyncio.create_task(self._keep(fact))
            self._reporting.add(task)
            task.add_done_callback(self._kept)

    async def _keep(self, fact: Event) -> None:
        """Until it is kept. With too many that are not, nothing more is read: the agent comes again with all it knows."""
        while self._end.closed is None:
            if isinstance(fact, FacilityDescription):
                kept = await self._events.described(self.facility_id, self._end.epoch, fact)
            elif isinstance(fact, DatasetReport):
                kept = await self._events.dataset_reported(self.facility_id, self._end.epoch, fact)
            else:
                kept = await self._events.reported(self.facility_id, self._end.epoch, fact)
            if kept:
                return
            await asyncio.sleep(AGAIN)

    def _kept(self, task: asyncio.Task[None]) -> None:
        self._reporting.discard(task)
        self._slots.release()


def _facts(session_id: str, hello: pb.Hello, description: FacilityDescription) -> HelloFacts:
    previous = hello.previous_ending
    return HelloFacts(
        session_id, text.optional_identifier(hello.instance_id, 64), min(hello.boot_counter, text.LARGEST),
        text.optional_identifier(hello.store_id, 64), text.plain(hello.software_version, 40), hello.certificate_s,
        previous if previous in Ending.__members__ else "", encode_description(description),
    )  # fmt: skip
