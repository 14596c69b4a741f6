"""A TCP proxy that treats connections as bad networks do: held back, stalled, slow, cut in the middle, refused."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

_CHUNK = 65536
_PREFACE, _FRAME_HEAD = 24, 9
_RST = struct.pack("ii", 1, 0)


class Way:
    """One direction of every connection. Change it through `FaultProxy.change` only.

    `hold` keeps what comes, as a network that drops packets does: it arrives once released, if the connection still
    lives. `stall` does not even read. `rate` is in bytes per second, `delay` in seconds. `cut_after` bytes or
    `cut_at` HTTP/2 frames (of plaintext) of a new connection, it is reset.
    """

    def __init__(self) -> None:
        self.hold = self.stall = False
        self.delay, self.rate = 0.0, 0.0
        self.cut_after = self.cut_at = 0
        self.free = asyncio.Event()


class Frames:
    """Finds the ends of HTTP/2 frames in a stream."""

    def __init__(self, skip: int) -> None:
        self._skip, self._head, self.count = skip, b"", 0

    def feed(self, data: bytes, stop_at: int) -> int:
        """How much of `data` there is up to the end of frame number `stop_at`; all of it when that is not in it."""
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
                at += step
                if self._skip == 0 and self._head == b"done":
                    self._head, self.count = b"", self.count + 1
                    if self.count >= stop_at:
                        return at
                continue
            if self._head == b"done":
                self._head = b""
            step = _FRAME_HEAD - len(self._head)
            self._head += data[at : at + step]
            at += step
            if len(self._head) == _FRAME_HEAD:
                self._skip = int.from_bytes(self._head[:3], "big")
                self._head = b"done"
                if self._skip == 0:
                    self._head, self.count = b"", self.count + 1
                    if self.count >= stop_at:
                        return min(at, len(data))
        return len(data)


class FaultProxy:
    """Listens on `port` of 127.0.0.1 and passes on to the first of `targets` that accepts.

    `up` is from who dials to who is dialled, `down` the way back. Callable from any thread.
    """

    def __init__(self, *targets: int) -> None:
        self.targets = list(targets)
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self.accepted = 0
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = self._call(self._begin(0))

    def _call(self, work: object) -> int:
        return int(asyncio.run_coroutine_threadsafe(work, self._loop).result(10) or 0)  # type: ignore[arg-type]

    async def _begin(self, port: int) -> int:
        self.up, self.down = Way(), Way()
        for way in (self.up, self.down):
            way.free.set()
        return await self._listen(port)

    async def _listen(self, port: int) -> int:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port, limit=_CHUNK, backlog=1024)
        return int(self._server.sockets[0].getsockname()[1])

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._open.add(writer)
        try:
            there = await self._dial()
            if there is None:
                return
            far_reader, far_writer = there
            self._open.add(far_writer)
            ways = (
                self._copy(reader, far_writer, self.up, Frames(_PREFACE)),
                self._copy(far_reader, writer, self.down, Frames(0)),
            )
            tasks = [asyncio.create_task(way) for way in ways]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._drop(far_writer)
        finally:
            self._drop(writer)

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        self._open.discard(writer)
        writer.close()

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for port in list(self.targets):
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(2):
                    return await asyncio.open_connection("127.0.0.1", port, limit=_CHUNK)
        return None

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way, frames: Frames
    ) -> None:
        passed = 0
        with suppress(ConnectionError):
            while True:
                if way.stall:
                    await way.free.wait()
                data = await reader.read(_CHUNK if not way.rate else max(1, int(way.rate / 10)))
                while way.hold or way.stall:
                    await way.free.wait()
                if not data:
                    break
                keep = min(len(data), way.cut_after - passed) if way.cut_after else len(data)
                if way.cut_at:
                    keep = frames.feed(data, way.cut_at)
                if way.delay:
                    await asyncio.sleep(way.delay)
                writer.write(data[:keep])
                await writer.drain()
                passed += keep
                if (way.cut_after and passed >= way.cut_after) or (way.cut_at and frames.count >= way.cut_at):
                    self._reset_all((writer,))
                    break
                if way.rate:
                    await asyncio.sleep(len(data) / way.rate)

    def _reset_all(self, writers: object) -> None:
        for writer in tuple(writers):  # type: ignore[arg-type]
            sock = writer.get_extra_info("socket")
            if sock is not None:
                with suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
            writer.transport.abort()

    # --- for the test

    def change(self, act: Callable[[FaultProxy], None]) -> None:
        """Change `up` and `down`."""

        async def work() -> None:
            act(self)
            for way in (self.up, self.down):
                blocked = way.hold or way.stall
                (way.free.clear if blocked else way.free.set)()

        self._call(work())

    def hold(self, *, up: bool = False, down: bool = False) -> None:
        """From now on these ways lose what is sent."""

        def act(proxy: FaultProxy) -> None:
            proxy.up.hold, proxy.down.hold = up, down

        self.change(act)

    def heal(self) -> None:
        """A good network again."""

        def act(proxy: FaultProxy) -> None:
            for way in (proxy.up, proxy.down):
                way.hold = way.stall = False
                way.delay = way.rate = 0.0
                way.cut_after = way.cut_at = 0

        self.change(act)

    def reset(self) -> None:
        """Every connection ends with a reset, both ways."""

        async def work() -> None:
            self._reset_all(self._open)

        self._call(work())

    def refuse(self) -> None:
        """Nobody listens any more; what is open goes on."""

        async def work() -> None:
            assert self._server is not None
            self._server.close()

        self._call(work())

    def listen(self) -> None:
        """Somebody listens again, on the same port."""
        self._call(self._listen(self.port))

    def close(self) -> None:
        """The end."""

        async def work() -> None:
            if self._server is not None:
                self._server.close()
            self._reset_all(self._open)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

        self._call(work())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
