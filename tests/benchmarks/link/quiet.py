"""Agents that answer at once, so that the link alone is measured; and the bare streams that idle ones are compared with.

`python -m tests.benchmarks.link.quiet agents FOLDER HUB FACILITY…`, `… server FOLDER` or `… streams FOLDER PORT COUNT`.
With `hub.pem` in the folder everything is under TLS, otherwise plaintext.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import uvloop

from facility_agent.link.client import AgentLink, LinkSettings
from facility_agent.link.stream import open_stream
from shared.catalogue import SearchPage
from shared.commands import Answer, Verb, refusal
from shared.errors import BackendUnavailable
from shared.facilities import FacilityDescription, Outcome
from shared.link.channel import COMMON_OPTIONS, CONNECT, SERVICE
from shared.wire.commands import verb_of
from shared.workspaces import WorkspaceInventory
from tests.benchmarks.link.helper import obey

NOTHING = Answer(Outcome.OK, SearchPage(()))
REFUSED = refusal(BackendUnavailable())
_aio: Any = grpc.aio


class Quiet:
    """Implements `ports.link.Core`: nothing happens at this facility."""

    def __init__(self, slug: str) -> None:
        self._slug = slug

    def description(self) -> FacilityDescription:
        """Next to nothing."""
        return FacilityDescription(self._slug, self._slug, "", "", "", "", "", "", "1.0")

    def inventory(self) -> WorkspaceInventory:
        """Nothing runs."""
        return WorkspaceInventory()

    def subscribe(self, listener: object) -> Callable[[], None]:
        """Nothing is told."""
        return lambda: None

    async def handle(
        self, body: bytes, grant_id: str, mac: bytes, decode: object, proven: object = None
    ) -> Answer:
        """The same each time; without a feed."""
        return REFUSED if verb_of(body) is Verb.CHANGES else NOTHING


def _certificate(folder: Path) -> Path | None:
    file = folder / "hub.pem"
    return file if file.exists() else None


async def agents(folder: Path, hub: str, *slugs: str) -> None:
    """Be these facilities."""
    trust = _certificate(folder)
    async with asyncio.TaskGroup() as tasks:
        for slug in slugs:
            settings = LinkSettings(
                slug, hub, "parasol-hub", folder / f"{slug}.key", "store", 1, trust, plaintext=trust is None
            )
            tasks.create_task(AgentLink(settings, Quiet(slug)).run())  # type: ignore[arg-type]
        await obey({})


async def server(folder: Path) -> None:
    """Take streams, and echo what comes."""
    taken = 0

    async def echo(_: Any, context: Any) -> None:
        nonlocal taken
        while isinstance(data := await context.read(), bytes):
            await context.write(data)
            taken += 1

    async def streams() -> int:
        return taken

    serving = _aio.server(options=(*COMMON_OPTIONS, ("grpc.max_concurrent_streams", 16)))
    handler = grpc.stream_stream_rpc_method_handler(echo)
    serving.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {CONNECT: handler}),))
    pair = (folder / "hub.key").read_bytes(), (folder / "hub.pem").read_bytes()
    port = serving.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    await serving.start()

    async def listening() -> int:
        return int(port)

    await obey({"port": listening, "streams": streams})


async def streams(folder: Path, port: str, count: str) -> None:
    """So many bare streams, each with a connection of its own."""
    credentials = grpc.ssl_channel_credentials((folder / "hub.pem").read_bytes())

    async def one() -> None:
        async with open_stream(f"localhost:{port}", credentials, ()) as stream:
            await stream.write(b"x")
            while await stream.read() is not None:
                pass

    async with asyncio.TaskGroup() as tasks:
        for _ in range(int(count)):
            tasks.create_task(one())
        await obey({})


if __name__ == "__main__":
    role = {"agents": agents, "server": server, "streams": streams}[sys.argv[1]]
    uvloop.run(role(Path(sys.argv[2]), *sys.argv[3:]))
