"""What the agent shows to its operator: pages on its Unix socket, metrics on a port of their own if that is wished."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from facility_agent.socket.server import TOKEN_HEADER
from shared.errors import BackendUnavailable

_DEADLINE = 5.0


@dataclass(frozen=True, slots=True)
class Page:
    """Made when it is asked for."""

    content_type: str
    text: Callable[[], Awaitable[str]]

    async def answer(self, _request: web.Request) -> web.Response:
        """The page over HTTP."""
        return web.Response(body=(await self.text()).encode(), headers={"content-type": self.content_type})


class MetricsSite:
    """One page on a TCP port, for a Prometheus that cannot read the socket."""

    def __init__(self, host: str, port: int, page: Page) -> None:
        self._host, self._port, self._page = host, port, page
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen. Raises OSError."""
        app = web.Application(client_max_size=1024)
        app.router.add_get("/metrics", self._page.answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()


async def read_page(path: Path, token_file: Path, name: str, act: dict[str, str] | None = None) -> str:
    """What the agent on this socket shows, or what it says to an `act`. Raises BackendUnavailable when none answers."""
    try:
        headers = {TOKEN_HEADER: token_file.read_text()}  # noqa: ASYNC240 (nothing else runs here)
        timeout = aiohttp.ClientTimeout(total=_DEADLINE)
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path)), timeout=timeout) as session,
            session.request("POST" if act else "GET", f"http://agent/{name}", headers=headers, json=act) as answer,
        ):
            if answer.status != 200:
                raise BackendUnavailable(f"The agent refused ({answer.status}); ask as the agent's own user.")
            return await answer.text()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise BackendUnavailable("The agent does not answer on its socket: it is not running.") from error
