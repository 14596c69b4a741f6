"""Asks a workspace's Unix socket, or port, whether anybody serves there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from facility_agent.peers import peer_uid

PATIENCE_S = 2.0


async def answers(to: str | tuple[str, int], headers: Iterable[tuple[str, str]], owner: int | None = None) -> bool:
    """Whether a request with these headers is answered with less than 500; by a process of uid `owner` when it is given."""
    more = "".join(f"{name}: {value}\r\n" for name, value in headers)
    try:
        async with asyncio.timeout(PATIENCE_S):
            if isinstance(to, tuple):
                reader, writer = await asyncio.open_connection(*to)
            else:
                reader, writer = await asyncio.open_unix_connection(to)
            try:
                if owner is not None and peer_uid(writer.get_extra_info("socket")) != owner:
                    return False
                writer.write(f"GET / HTTP/1.1\r\nHost: workspace\r\n{more}Connection: close\r\n\r\n".encode())
                await writer.drain()
                status = (await reader.readline()).split()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return len(status) >= 2 and status[1].isdigit() and int(status[1]) < 500
