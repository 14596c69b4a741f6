"""One session with a hub: a stream, this end of it, and what is under way in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from facility_agent.link.bulk import BulkEnd, put_bulk
from facility_agent.link.carriage import Carriage
from facility_agent.link.kept import LogWords
from facility_agent.link.running import Running
from facility_agent.link.settings import LinkSettings
from shared.link.end import Phase
from shared.link.outbox import Lane
from shared.link.outputs import (
    Closed,
    CommandArrived,
    Ending,
    Opened,
    OrderAcknowledged,
    OrderArrived,
    Output,
    PeerDrains,
)
from shared.link.pump import Pump, StreamLost
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb

log = logging.getLogger(__name__)
GOODBYE = 2.0
_FINISH = 30.0
_ON_ITS_WAY, _LOOK = 0.2, 0.02


@dataclass(frozen=True, slots=True)
class Ears:
    """Who hears what happens in a session."""

    opened: Callable[[Session, Opened], Awaitable[None]]
    order: Callable[[Session, OrderArrived], None]
    acknowledged: Callable[[str], None]


class Session:
    """Created with the Hello to say; raises what AgentEnd raises for one that cannot be sent. `run` it once."""

    def __init__(
        self, settings: LinkSettings, hello: pb.Hello, floor: int, stream: Carriage, running: Running, ears: Ears,
        words: LogWords,
    ) -> None:  # fmt: skip
        loop = asyncio.get_running_loop()
        self._settings, self._stream, self._running, self._ears = settings, stream, running, ears
        self._end = BulkEnd(settings.terms, hello, loop.time(), floor, words.word)
        self._words, self._end.on_asked = words, words.ask
        self._pump = Pump(self._end, stream.read, stream.write, self._handle, lambda _: False)
        self._task: asyncio.Task[Closed] | None = None
        self._finishing: asyncio.Task[None] | None = None
        self.session_id = ""
        self.opened_at: float | None = None
        self.successor_in: asyncio.Future[float] = loop.create_future()
        """Resolved when the next session should be opened while this one goes on: after how many seconds."""

    @property
    def is_open(self) -> bool:
        """Whether the hub has let us in and it has not ended."""
        return self._end.phase is Phase.OPEN

    @property
    def epoch(self) -> int:
        """Its fencing number, 0 before the Welcome."""
        return self._end.epoch

    @property
    def rtt(self) -> float | None:
        """The latest round trip in seconds."""
        return self._end.rtt

    @property
    def refused(self) -> bool:
        """Whether the hub did not accept our proof of who we are."""
        return self._stream.refused

    async def run(self) -> Closed:
        """Until it has ended. Cancelling it says goodbye first."""
        self._task = asyncio.create_task(self._pump.run())
        try:
            return await asyncio.shield(self._task)
        except asyncio.CancelledError:
            await self._goodbye()
            raise
        finally:
            if self._finishing is not None:
                self._finishing.cancel()
            await self._words.stop()
            await self._running.stop()
            self.successor_in.cancel()

    def replace(self, after: float = 0.0) -> None:
        """Ask for a successor; this session goes on until it is there."""
        if not self.successor_in.done():
            self.successor_in.set_result(after)

    def finish(self) -> None:
        """There is a newer session: end this one as soon as nothing is under way in it."""
        if self._finishing is None and self.is_open:
            self._end.finish()
            self._finishing = asyncio.create_task(self._finish())

    def close(self, ending: Ending, message: str) -> None:
        """End it now."""
        self._pump.close(ending, message)

    def accept(self, order_id: str) -> None:
        """An order is stored."""
        self._end.accept(order_id)
        self._pump.wake()

    def settle(self, result: pb.OrderResult) -> bool:
        """Send the result of an order; False when that is not possible now."""
        taken = self._end.settle(result)
        if taken:
            self._pump.wake()
        return taken

    def report(self, key: str, event: pb.Event) -> None:
        """Send a fact."""
        self._end.report(key, event)
        self._pump.wake()

    # --- what the hub says

    async def _handle(self, output: Output) -> None:
        match output:
            case CommandArrived():
                self._running.start(output, self._reply)
            case OrderArrived():
                self._ears.order(self, output)
            case OrderAcknowledged(order_id):
                self._ears.acknowledged(order_id)
            case Opened():
                self.session_id, self.opened_at = output.session_id, asyncio.get_running_loop().time()
                await self._ears.opened(self, output)
            case PeerDrains():
                self.replace(output.reconnect_after_s)

    async def _reply(self, result: pb.Result) -> None:
        """An answer belongs to the session that was asked; in a later one the ticket means something else."""
        if result.ByteSize() > self._settings.bulk_bytes and self.is_open:
            try:
                await put_bulk(self._stream, self.session_id, result)
            except StreamLost as error:
                log.warning("A large answer goes by the stream: %s", error)
            else:
                self._end.answered_beside(result.ticket)
                return
        if self._end.answer(result):
            self._pump.wake()

    # --- its end

    async def _finish(self) -> None:
        """Tells the hub, so that it asks no more; answers what it had asked; then lets the stream end by itself."""
        assert self._task is not None
        self._end.drain(_FINISH)
        self._pump.wake()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FINISH):
                pause = _ON_ITS_WAY
                while pause:
                    await asyncio.sleep(pause)
                    busy = self._end.outstanding or any(self._end.waiting(lane) for lane in Lane)
                    pause = _LOOK if busy else 0.0
        with suppress(TimeoutError, StreamLost):
            async with asyncio.timeout(GOODBYE):
                await self._stream.finish()
                await asyncio.shield(self._task)
        self._pump.close(Ending.STOPPED, "A newer session is open.")

    async def _goodbye(self) -> None:
        """Tells the hub, so that it asks no more, then ends the session."""
        assert self._task is not None
        self._end.drain(GOODBYE)
        self._pump.close(Ending.STOPPED, "The agent stops.")
        with suppress(TimeoutError, StreamLost):
            async with asyncio.timeout(GOODBYE):
                await self._task
