"""The gateway's one listener: workspaces are served by `Browser`, the gateway's own pages by uvicorn."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from facility_agent.gateway.browser import Browser
from facility_agent.gateway.headers import own_head
from facility_agent.gateway.heads import RequestHead
from facility_agent.gateway.traffic import Traffic
from facility_agent.gateway.upstreams import Upstreams
from facility_agent.gateway.workspaces import WorkspaceDoors
from shared.door import Site

SWEEP_S = 1.0
LENT_S = 60.0
Place = tuple[Site | None, str]


class Front:
    """What all connections share. `place_of` gives a host's site and, for a workspace's, its id."""

    def __init__(
        self, doors: WorkspaceDoors, scheme: str, place_of: Callable[[str], Place], traffic: Traffic
    ) -> None:
        self.doors, self.scheme, self.place_of, self.traffic = doors, scheme, place_of, traffic
        self.upstreams = Upstreams()
        self.browsers: set[Browser] = set()
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.most = max(64, (files - 64) // 3)  # each may hold a connection to a workspace, and some wait there
        self.lent: dict[asyncio.Transport, float] = {}

    def accept(self, **given: Any) -> Browser:
        """The protocol of a new connection: what uvicorn calls as its HTTP protocol class."""
        return Browser(self, Listener(self, given))

    async def sweep(self) -> None:
        """End what has waited too long, once a second, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            now = loop.time()
            for browser in [browser for browser in self.browsers if browser.deadline < now]:
                browser.expire()
            for transport, until in tuple(self.lent.items()):
                if until < now:
                    transport.abort()
                if transport.is_closing():
                    del self.lent[transport]
            self.upstreams.sweep(now)

    def close(self) -> None:
        """Close the connections to workspaces."""
        self.upstreams.close()


class Listener:
    """The server that accepted a connection, and its own protocol for our pages."""

    def __init__(self, front: Front, given: dict[str, Any]) -> None:
        self._front, self._given = front, given
        self._connections: set[Any] = given["server_state"].connections

    def add(self, browser: Browser) -> None:
        """The server tells it when to stop."""
        self._connections.add(browser)

    def discard(self, browser: Browser) -> None:
        """It is gone."""
        self._connections.discard(browser)

    def take_over(self, browser: Browser, transport: asyncio.Transport, head: RequestHead, follows: bytes) -> None:
        """Uvicorn answers this one request, then closes the connection, within a minute."""
        self.discard(browser)
        protocol = HttpToolsProtocol(**self._given)
        self._front.lent[transport] = asyncio.get_running_loop().time() + LENT_S
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(own_head(head) + follows)
