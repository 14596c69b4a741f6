"""The floor of the federated search: one asyncio process sends the same bytes to gRPC streams and waits for all echoes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import uvloop

from tests.benchmarks.federation import ROOT
from tests.benchmarks.measure import percentile

SERVICE, METHOD = "floor.Echo", "Connect"


class Stream:
    """A stream at the fanning-out side: echoes come back in the order in which they were sent."""

    def __init__(self, context: Any) -> None:
        self._context, self._turn = context, asyncio.Lock()
        self._waiting: deque[asyncio.Future[bytes]] = deque()

    async def serve(self) -> None:
        """Read until the peer ends."""
        while isinstance(data := await self._context.read(), bytes):
            self._waiting.popleft().set_result(data)

    async def echo(self, data: bytes) -> bytes:
        """`data`, there and back."""
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        async with self._turn:
            self._waiting.append(future)
            await self._context.write(data)
        return await future


async def fan_out(streams: list[Stream], payload: bytes, count: int, at_once: int) -> dict[str, float]:
    """Milliseconds of wall clock (p50) and of this process's CPU per fan-out to all streams."""
    took: list[float] = []

    async def worker() -> None:
        while len(took) < count:
            begun = time.perf_counter()
            echoes = await asyncio.gather(*(stream.echo(payload) for stream in streams))
            assert all(echo == payload for echo in echoes)
            took.append(time.perf_counter() - begun)

    before = time.process_time()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    cpu = time.process_time() - before
    return {"p50": 1000 * percentile(took, 0.5), "cpu": 1000 * cpu / len(took)}


async def centre(agents: int, size: int) -> None:
    """Serve `agents` streams; each line of standard input, `count at_once`, is answered by figures as JSON."""
    streams: list[Stream] = []
    complete = asyncio.Event()

    async def connect(_: Any, context: Any) -> None:
        stream = Stream(context)
        streams.append(stream)
        if len(streams) == agents:
            complete.set()
        await stream.serve()

    server = grpc.aio.server()
    handler = grpc.stream_stream_rpc_method_handler(connect)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await asyncio.wait_for(complete.wait(), 30)
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        count, at_once = map(int, line.split())
        print(json.dumps(await fan_out(streams, b"x" * size, count, at_once)), flush=True)
    await server.stop(None)


async def play(agents: int, port: int) -> None:
    """Be all agents at once, a connection each."""

    async def agent() -> None:
        options = (("grpc.use_local_subchannel_pool", 1),)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
            call: Any = channel.stream_stream(f"/{SERVICE}/{METHOD}")()
            await call.wait_for_connection()
            while isinstance(data := await call.read(), bytes):
                await call.write(data)

    await asyncio.gather(*(agent() for _ in range(agents)))


@dataclass
class Floor:
    """The fanning-out process, told by lines what to measure."""

    process: subprocess.Popen[str]

    def measure(self, count: int, at_once: int) -> tuple[float, float]:
        """(p50 in ms, CPU in ms) of `count` fan-outs, `at_once` at a time."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{count} {at_once}\n")
        self.process.stdin.flush()
        figures = json.loads(self.line())
        return figures["p50"], figures["cpu"]

    def line(self) -> str:
        """The next line that it says."""
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        assert text, "the floor has ended"
        return text.strip()


@contextmanager
def floor(agents: int, size: int) -> Iterator[Floor]:
    """A floor with this many agents, all in one other process, and payloads of `size` bytes."""
    command = [sys.executable, "-m", __name__]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    serving = subprocess.Popen([*command, "centre", str(agents), str(size)], **pipes)  # type: ignore[call-overload]
    running = [serving]
    try:
        measuring = Floor(serving)
        port = measuring.line()
        running.append(subprocess.Popen([*command, "play", str(agents), port], cwd=ROOT))
        assert measuring.line() == "ready"
        yield measuring
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(10)
        for pipe in (serving.stdin, serving.stdout):
            pipe.close()


if __name__ == "__main__":
    role, agents, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    uvloop.run(centre(agents, number) if role == "centre" else play(agents, number))
