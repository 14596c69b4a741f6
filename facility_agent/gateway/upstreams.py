"""Connections to workspaces, on Unix sockets or ports, kept for the next request."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from typing import Protocol

from facility_agent.peers import peer_uid
from facility_agent.ports.compute import Endpoint

CONNECT_S = 10.0
IDLE_S = 30.0
IDLE_EACH = 64
BUFFER = 256 * 1024


class Passage(Protocol):
    """What goes on between one browser's connection and one workspace's: a request, or a WebSocket."""

    @property
    def wants_more(self) -> bool:
        """Whether the browser owes bytes of a request's body."""
        ...

    def from_browser(self, data: bytes) -> bytes:
        """Bytes of the browser; returns those that belong to its next request."""
        ...

    def from_workspace(self, data: bytes) -> None:
        """Bytes of the workspace."""
        ...

    def browser_left(self) -> None:
        """The browser's connection is gone."""
        ...

    def workspace_left(self, error: Exception | None) -> None:
        """The workspace's connection is gone; `error` is None when it was closed in order."""
        ...

    def hold_browser(self, *, held: bool) -> None:
        """The workspace takes no more for now, or again."""
        ...

    def hold_workspace(self, *, held: bool) -> None:
        """The browser takes no more for now, or again."""
        ...

    def end(self, code: int) -> None:
        """End it now; a WebSocket is told this close code."""
        ...


class Upstream(asyncio.Protocol):
    """One connection to a workspace. Bytes that nobody asked for end it."""

    def __init__(self, pool: Upstreams, to: Endpoint) -> None:
        self._pool, self.to = pool, to
        self.passage: Passage | None = None
        self.transport: asyncio.Transport
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """It is open."""
        self.transport = transport
        transport.set_write_buffer_limits(BUFFER)

    def data_received(self, data: bytes) -> None:
        """To whom it belongs."""
        if self.passage is None:
            self.transport.abort()
        else:
            self.passage.from_workspace(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._pool.forget(self)
        if self.passage is not None:
            passage, self.passage = self.passage, None
            passage.workspace_left(exc)

    def leave(self) -> None:
        """Close it once the workspace has taken what was sent, which it may have `CONNECT_S` seconds for."""
        self.passage = None
        self.transport.close()
        asyncio.get_running_loop().call_later(CONNECT_S, self.transport.abort)

    def pause_writing(self) -> None:
        """The workspace reads more slowly than the browser sends."""
        if self.passage is not None:
            self.passage.hold_browser(held=True)

    def resume_writing(self) -> None:
        """It has caught up."""
        if self.passage is not None:
            self.passage.hold_browser(held=False)


class Upstreams:
    """The connections that wait for a next request, at most `IDLE_EACH` a workspace and `IDLE_S` seconds."""

    def __init__(self) -> None:
        self._idle: dict[Endpoint, deque[Upstream]] = defaultdict(deque)

    def take(self, to: Endpoint) -> Upstream | None:
        """The connection used last, if one waits."""
        waiting = self._idle.get(to)
        while waiting:
            upstream = waiting.pop()
            if not upstream.transport.is_closing():
                return upstream
        return None

    async def connect(self, to: Endpoint) -> Upstream:
        """A new one, to a process of the socket's `owner` when it is given. Raises OSError (also TimeoutError)."""
        loop, owner = asyncio.get_running_loop(), to.owner
        async with asyncio.timeout(CONNECT_S):
            if to.address is not None:
                _, upstream = await loop.create_connection(lambda: Upstream(self, to), *to.address)
                return upstream
            _, upstream = await loop.create_unix_connection(lambda: Upstream(self, to), str(to.socket))
        if owner is not None and peer_uid(upstream.transport.get_extra_info("socket")) != owner:
            upstream.transport.abort()
            raise ConnectionRefusedError("somebody else listens there")
        return upstream

    def give(self, upstream: Upstream) -> None:
        """Keep it for the next request: its answer is complete."""
        upstream.passage = None
        waiting = self._idle[upstream.to]
        if len(waiting) >= IDLE_EACH or upstream.transport.is_closing():
            upstream.transport.close()
            return
        upstream.transport.resume_reading()  # a slow browser may have held it
        upstream.idle_since = asyncio.get_running_loop().time()
        waiting.append(upstream)

    def forget(self, upstream: Upstream) -> None:
        """It is closed."""
        waiting = self._idle.get(upstream.to)
        if waiting is not None and upstream in waiting:
            waiting.remove(upstream)

    def sweep(self, now: float) -> None:
        """Close what has waited too long."""
        for path, waiting in tuple(self._idle.items()):
            while waiting and now - waiting[0].idle_since > IDLE_S:
                waiting.popleft().transport.close()
            if not waiting:
                del self._idle[path]

    def close(self) -> None:
        """Close all that wait."""
        for waiting in self._idle.values():
            for upstream in tuple(waiting):
                upstream.transport.close()
