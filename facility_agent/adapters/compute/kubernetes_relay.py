"""A Unix socket of the agent's for each workspace that leads to its pod: the gateway speaks to Unix sockets alone."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

CONNECT_S = 5.0
MOST = 512
"""Connections at once of one workspace."""
CHUNK = 64 * 1024


def is_pod_address(text: str) -> bool:
    """Whether it can be a pod's: neither this machine nor a link's own."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified)


class Relay:
    """Bytes both ways, nothing read. The address is the one that the cluster gave the pod, never the pod's own word."""

    def __init__(self, path: Path, host: str, port: int) -> None:
        self.path, self.host, self._port = path, host, port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen; whoever listened there before listens no more. Raises OSError."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.path.unlink(missing_ok=True)
            listener.bind(str(self.path))
            self.path.chmod(0o600)  # before it listens: until then nobody gets in
            self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=CHUNK, backlog=128)
        except BaseException:
            listener.close()
            raise

    async def close(self) -> None:
        """Cut every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            if len(self._tasks) <= MOST:
                await self._join(reader, writer)
        except (OSError, TimeoutError):
            pass  # the gateway sees the end of it
        finally:
            writer.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(CONNECT_S):
            far_reader, far_writer = await asyncio.open_connection(self.host, self._port, limit=CHUNK)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, far_writer))
                both.create_task(_pump(far_reader, writer))
        except* OSError:
            pass
        finally:
            far_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK):
        writer.write(chunk)
        await writer.drain()
    with suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()
