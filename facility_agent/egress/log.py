"""The log: one thread writes what waits and makes it durable once for all of it."""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facility_agent.egress.chain import BEGAN, LINE_BYTES, RECOVERED, RESUMED, instant, sealed
from facility_agent.egress.files import Damaged, LogFiles
from facility_agent.egress.looking import hash_of
from facility_agent.ports.egress import Head, Kind, unrecorded

log = logging.getLogger(__name__)
GROUP = 256
WAITING = 4096
LOOK_AGAIN = 2.0
Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Waiting:
    records: Sequence[Record]
    future: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop


class EgressLog:
    """Appends records in groups: whoever waits while one group is written is in the next.

    `appended` hears of each group: how many waited for it, and how many seconds it took. What fails is tried again
    with the next record; a log that was opened in vain is opened again after 2 s at the earliest.
    """

    def __init__(
        self, files: LogFiles, clock: Callable[[], float],
        appended: Callable[[int, float], None] = lambda size, seconds: None,
    ) -> None:  # fmt: skip
        self._files, self._clock, self._appended = files, clock, appended
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._closing, self._next_look = False, 0.0
        self.head, self.fault = Head(), ""
        self._thread = threading.Thread(target=self._serve, name="egress", daemon=True)
        self._thread.start()

    async def append(self, records: Sequence[Record]) -> None:
        """Durable before it returns. Raises BackendUnavailable."""
        if self._closing or self._queue.qsize() >= WAITING:
            raise unrecorded()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._queue.put(_Waiting(records, future, loop))
        await future

    async def probe(self) -> None:
        """Open it when it is not, and write to it when that failed last. Raises BackendUnavailable while that does not work."""
        await self.append(())

    async def hash_of(self, sequence: int) -> str:
        """See `ports.egress.Egress.hash_of`."""
        try:
            return await asyncio.to_thread(hash_of, self._files.folder, sequence)
        except OSError as error:
            raise unrecorded() from error

    def close(self) -> None:
        """Close after what is under way."""
        self._closing = True
        self._queue.put(None)
        self._thread.join(10)

    # --- the thread

    def _serve(self) -> None:
        more = True
        while more:
            group, more = self._next_group()
            if group:
                self._carry_out(group)
        self._files.close()

    def _next_group(self) -> tuple[list[_Waiting], bool]:
        """Waits for one and takes those behind it; False at the end."""
        group: list[_Waiting] = []
        waiting = self._queue.get()
        while waiting is not None:
            if not waiting.future.cancelled():  # nobody would send it
                group.append(waiting)
            if len(group) >= GROUP:
                return group, True
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                return group, True
        return group, False

    def _carry_out(self, group: Sequence[_Waiting]) -> None:
        started, good = time.perf_counter(), False
        try:
            self._write([record for waiting in group for record in waiting.records])
        except Damaged as error:
            self._failed(str(error))
        except OSError as error:
            self._failed(os.strerror(error.errno or 0))
        except Exception:  # the thread goes on
            log.exception("the egress log failed")
            self._failed("a fault of the agent's, see its log")
        else:
            good, self.head = True, self._files.head
            self._well()
            self._appended(len(group), time.perf_counter() - started)
        by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = defaultdict(list)
        for waiting in group:
            by_loop[waiting.loop].append(waiting.future)
        for loop, futures in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, futures, good)

    def _write(self, records: list[Record]) -> None:
        if not self._files.is_open:
            if time.monotonic() < self._next_look:
                raise Damaged(self.fault)
            self._next_look = time.monotonic() + LOOK_AGAIN
            self._files.open()
            self._next_look = 0.0
            records = [*self._first(), *records]
        if self.fault and not records:  # that it can be written again is known by writing
            records = [{"at": instant(self._clock()), "kind": Kind.DONE.value, "verb": RESUMED}]
        lines, head = bytearray(), self._files.head
        for record in records:
            line, head = sealed(record, head)
            if len(line) > LINE_BYTES:
                raise ValueError("a record is too large")
            lines += line
        if lines:
            self._files.append(bytes(lines), head)
            self._files.torn = None

    def _first(self) -> list[Record]:
        """What is said of the log itself when it is opened: a new chain is no other's, and what was taken off is told."""
        said = {"at": instant(self._clock()), "kind": Kind.DONE.value}
        if not self._files.head.sequence:
            return [{**said, "verb": BEGAN, "digest": os.urandom(32).hex()}]
        torn = self._files.torn
        return [{**said, "verb": RECOVERED, "bytes": torn.size, "digest": torn.digest}] if torn else []

    def _failed(self, why: str) -> None:
        if why != self.fault:
            log.error("The egress log cannot be written, so nothing is sent: %s.", why)
        self.fault = why

    def _well(self) -> None:
        if self.fault:
            log.warning("The egress log can be written again.")
        self.fault = ""


def _resolve(futures: Sequence[asyncio.Future[None]], good: bool) -> None:
    for future in futures:
        if future.cancelled():
            continue
        if good:
            future.set_result(None)
        else:
            future.set_exception(unrecorded())
