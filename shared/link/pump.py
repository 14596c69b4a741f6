"""Joins an end of a link to a stream: reads, writes and lets time pass, until either ends.

The stream is two coroutines, so nothing here knows gRPC. Everything runs in one event loop; the end
itself is only touched between awaits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from shared.link.end import End
from shared.link.outputs import Closed, Ending, Output

Read = Callable[[], Awaitable[bytes | None]]
Write = Callable[[bytes], Awaitable[None]]
Handle = Callable[[Output], Awaitable[None]]
Clock = Callable[[], float]

_FAREWELL = 1.0
log = logging.getLogger(__name__)


class StreamLost(Exception):
    """Raised by `read` and `write` when the stream broke; the message is safe to log."""


class Pump:
    """Moves frames between `end` and a stream.

    `read` gives None at the stream's end. `handle` is awaited for each output in order, one frame at
    a time, so a slow handler holds back its own peer and nobody else. `settle` is called at once for
    outputs that must not wait, and says whether it took one.
    """

    def __init__(
        self,
        end: End[Any],
        read: Read,
        write: Write,
        handle: Handle,
        settle: Callable[[Output], bool],
        clock: Clock | None = None,
    ) -> None:
        self._end, self._read, self._write = end, read, write
        self._handle, self._settle = handle, settle
        self._loop = asyncio.get_running_loop()
        self._clock = clock or self._loop.time
        self._wake = asyncio.Event()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")

    async def run(self) -> Closed:
        """Runs until the session is over and says how it ended. Cancelling it closes the session."""
        tasks = [asyncio.create_task(self._reads()), asyncio.create_task(self._writes())]
        self.wake()
        try:
            await self._over
            await self._farewell(tasks[1])
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._now(self._end.close(Ending.STOPPED, "This side stopped."))
            for task in tasks:
                task.cancel()
            for failure in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(failure, Exception):
                    log.error("A link's session failed on our side.", exc_info=failure)
        assert self._end.closed is not None
        return self._end.closed

    def wake(self) -> None:
        """Something was asked of the end: write what waits, and look at the time again."""
        self._wake.set()
        self._reschedule()

    def close(self, ending: Ending, message: str, *, tell: bool = False) -> None:
        """Ends the session from this side; asks that are open are settled before this returns."""
        self._now(self._end.close(ending, message, tell=tell))

    def settle(self, outputs: Sequence[Output]) -> None:
        """Outputs that came another way than by the stream, all of them such as must not wait."""
        self._now(outputs)

    def _now(self, outputs: Sequence[Output]) -> list[Output]:
        """Settles what must not wait and returns the rest; the end itself is what `run` returns."""
        rest: list[Output] = []
        rest += [output for output in outputs if not isinstance(output, Closed) and not self._settle(output)]
        if self._end.closed is not None and not self._over.done():
            self._over.set_result(None)
        self.wake()
        return rest

    async def _reads(self) -> None:
        try:
            while self._end.closed is None:
                data = await self._read()
                if data is None:
                    self._now(self._end.lose("The stream ended."))
                    return
                for output in self._now(self._end.receive(data, self._clock())):
                    await self._handle(output)
        except StreamLost as error:
            self._now(self._end.lose(str(error)))
        finally:
            # Whatever went wrong in a handler, nobody must wait for a session that reads no more.
            self._now(self._end.lose("Reading has stopped."))

    async def _writes(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while (frame := self._end.next_frame()) is not None:
                    async with asyncio.timeout(self._end.terms.dead_after):
                        await self._write(frame)
                if self._end.closed is not None:
                    return
        except TimeoutError:
            self._now(self._end.close(Ending.STALLED, "The peer does not read."))
        except StreamLost as error:
            self._now(self._end.lose(str(error)))
        finally:
            self._now(self._end.lose("Writing has stopped."))

    async def _farewell(self, writer: asyncio.Task[None]) -> None:
        """Lets the last word out, for a moment."""
        await asyncio.wait([writer], timeout=_FAREWELL)

    def _reschedule(self) -> None:
        if self._end.closed is not None:
            return
        until = self._end.deadline()
        if self._timer is not None and self._timer_at <= until:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = until
        self._timer = self._loop.call_later(max(0.0, until - self._clock()), self._tick)

    def _tick(self) -> None:
        self._timer, self._timer_at = None, float("inf")
        self._now(self._end.tick(self._clock()))
