"""Many agents in one process, as far as the link goes: `python -m tests.chaos.herd KIND PORT FOLDER COUNT`.

KIND is `agents` (the real link around a facility without anything) or `bare` (a gRPC stream of the same making that
echoes one message, with the same pauses between its attempts). Each says by a line when it is up and when it is down:
`+` or `-` and a monotonic time. `serve PORT FOLDER` is what the bare ones dial.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc

from facility_agent.link.backoff import Backoff
from facility_agent.link.client import AgentLink, LinkSettings
from facility_agent.link.stream import open_stream
from shared import resolver
from shared.link.channel import COMMON_OPTIONS, CONNECT, SERVICE
from shared.link.pump import StreamLost
from tests.link_parts import SmallCore

PINGS = ("grpc.http2.min_ping_interval_without_data_ms", 10_000)
STABLE = 2.0
"""Seconds after which a session was a good one: every round then begins with the shortest pause."""
_aio: Any = grpc.aio  # type: ignore[attr-defined]


def name_of(number: int) -> str:
    """The slug of one."""
    return f"herd{number}"


def _say(sign: str) -> None:
    print(sign, time.monotonic(), flush=True)


async def _agent(number: int, port: int, folder: Path) -> None:
    core = SmallCore(name_of(number))
    settings = LinkSettings(
        core.facility_id, f"localhost:{port}", "parasol-hub", folder / "herd.key", f"store{number}", 1,
        ca_file=folder / "hub.pem", stable_after=STABLE,
    )  # fmt: skip
    link = AgentLink(settings, core, desk=core)
    link.on_change = lambda connected: _say("+" if connected else "-")
    await link.run()


async def _bare(_number: int, port: int, folder: Path) -> None:
    settings = LinkSettings("x", "", "", folder, "", 0)
    backoff = Backoff(settings.first_pause, settings.longest_pause, STABLE)
    credentials = grpc.ssl_channel_credentials((folder / "hub.pem").read_bytes())
    while True:
        since = None
        with suppress(StreamLost):
            async with open_stream(f"localhost:{port}", credentials, ()) as stream:
                await stream.write(b"x")
                if await stream.read() is not None:
                    since = time.monotonic()
                    _say("+")
                    await stream.read()
        if since is not None:
            _say("-")
        await asyncio.sleep(backoff.pause(time.monotonic() - since if since else 0.0))


async def _all(kind: str, port: int, folder: Path, count: int) -> None:
    one = {"agents": _agent, "bare": _bare}[kind]
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(one(number, port, folder))
            if number % 10 == 9:
                await asyncio.sleep(0.02)


async def _serve(port: int, folder: Path) -> None:
    async def echo(requests: Any, context: Any) -> None:
        async for message in requests:
            await context.write(message)

    server = _aio.server(options=(*COMMON_OPTIONS, ("grpc.so_reuseport", 0), PINGS))
    handler = grpc.stream_stream_rpc_method_handler(echo)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {CONNECT: handler}),))
    pair = ((folder / "hub.key").read_bytes(), (folder / "hub.pem").read_bytes())
    server.add_secure_port(f"127.0.0.1:{port}", grpc.ssl_server_credentials([pair]))
    await server.start()
    await server.wait_for_termination()


def main() -> None:
    """Entry point."""
    import uvloop

    resolver.install()
    logging.disable()  # a thousand words about the same hub would be most of the work
    if sys.argv[1] == "serve":
        uvloop.run(_serve(int(sys.argv[2]), Path(sys.argv[3])))
    else:
        uvloop.run(_all(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])))


if __name__ == "__main__":
    main()
