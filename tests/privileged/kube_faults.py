"""A proxy in front of a real cluster that answers badly when it is told to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import aiohttp
from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


class FaultProxy:
    """`fault` is asked first; None from it means that the cluster answers. `expired` are tokens that the cluster is not shown."""

    def __init__(self, server: str, authority: bytes) -> None:
        self._server = server
        self._tls = ssl.create_default_context(cadata=authority.decode())
        self.fault: Answer | None = None
        self.expired: set[str] = set()
        self.cut_after_effect = 0
        self.asked: list[str] = []
        self._watches: set[asyncio.Task[object]] = set()

    def cut_watches(self) -> None:
        """End every watch in the middle."""
        for task in self._watches:
            task.cancel()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        self.asked.append(f"{request.method} {request.path_qs}")
        if self.fault is not None and (answer := await self.fault(request)) is not None:
            return answer
        headers = {
            name: request.headers[name]
            for name in ("Authorization", "Accept", "Content-Type")
            if name in request.headers
        }
        if headers.get("Authorization", "").removeprefix("Bearer ") in self.expired:
            headers["Authorization"] = "Bearer of.nothing.known"
        body = await request.read()
        async with self._session.request(
            request.method, self._server + request.path_qs, data=body, headers=headers, ssl=self._tls
        ) as far:
            if self.cut_after_effect and request.method == "POST" and request.path.endswith("/pods"):
                self.cut_after_effect -= 1
                await far.read()
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            near = web.StreamResponse(status=far.status, headers={"Content-Type": far.headers["Content-Type"]})
            await near.prepare(request)
            await self._copy(far, near, watched="watch=true" in request.query_string)
            return near

    async def _copy(self, far: aiohttp.ClientResponse, near: web.StreamResponse, *, watched: bool) -> None:
        async def copy() -> None:
            with suppress(OSError, aiohttp.ClientError):
                async for chunk in far.content.iter_any():
                    await near.write(chunk)

        task = asyncio.create_task(copy())
        if watched:
            self._watches.add(task)
        with suppress(asyncio.CancelledError):
            await task
        self._watches.discard(task)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Its address."""
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self.serve)
        async with aiohttp.ClientSession() as self._session:
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            try:
                yield f"http://127.0.0.1:{runner.addresses[0][1]}"
            finally:
                await runner.cleanup()


async def hung_up(request: web.Request) -> web.StreamResponse:
    """A fault: there is no answer at all."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
