"""The gateway speaks to the workspace's own account alone."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

import pytest

from facility_agent.gateway.upstreams import Upstreams
from facility_agent.ports.compute import Endpoint
from facility_agent.ports.doorkeeper import WorkspaceDoor
from facility_agent.socket import codec


async def test_a_socket_on_which_somebody_else_listens_is_refused() -> None:
    heard = asyncio.Queue[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.put_nowait(await reader.read(1))
        writer.close()

    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path, pool = Path(folder) / "s", Upstreams()
        async with await asyncio.start_unix_server(serve, path):
            with pytest.raises(ConnectionRefusedError):
                await pool.connect(Endpoint(path, owner=os.getuid() + 1))
            assert await heard.get() == b"", "it was told nothing"
            for owner in (None, os.getuid()):
                upstream = await pool.connect(Endpoint(path, owner=owner))
                upstream.transport.close()
                assert await heard.get() == b""


@pytest.mark.parametrize("owner", [None, 4001])
def test_the_owner_reaches_the_gateway(owner: int | None) -> None:
    door = WorkspaceDoor("w", "t", "RUNNING", True, Endpoint(Path("/run/s"), (("A", "b"),), owner))
    assert codec.to_door(codec.door(door)) == door
