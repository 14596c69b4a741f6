"""The gateway's process: the door, its own pages, and every workspace's origin."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from facility_agent.config import Located
from facility_agent.gateway.authorize import Authorize
from facility_agent.gateway.pages import HERE, Pages
from facility_agent.gateway.proxy import FRAME
from facility_agent.gateway.sessions import Sessions
from facility_agent.gateway.settings import GatewaySettings, gateway_settings
from facility_agent.gateway.sign_in import SignIn
from facility_agent.gateway.verdicts import Verdicts
from facility_agent.gateway.workspaces import WorkspaceDoors
from facility_agent.ports.doorkeeper import Doorkeeper
from shared.door import Door, Site, security_headers
from shared.limits import LIMITS
from shared.serving import serve as shared_serve
from shared.workspaces import is_workspace_id


class Gateway:
    """A wired gateway. `app` is its ASGI application; run `watch` beside it."""

    def __init__(self, settings: GatewaySettings, door: Doorkeeper) -> None:
        self._settings = settings
        pages, sessions = Pages(settings.facility_name, settings.portal), Sessions(door)
        sign_in = SignIn(settings, door, sessions, pages)
        authorize = Authorize(settings, door, sessions, sign_in, pages)
        self._verdicts = Verdicts(door)
        inline = Pages(settings.facility_name, settings.portal, inline=True)
        self._doors = WorkspaceDoors(settings, door, sessions, sign_in, pages, inline, self._verdicts)
        self._pages = Starlette(
            routes=[
                Route("/", lambda _: pages.page("welcome")),
                Route("/healthz", lambda _: PlainTextResponse("ok\n", headers={"cache-control": "no-store"})),
                Route("/favicon.ico", lambda _: Response(status_code=204)),
                Route("/authorize", authorize.authorize),
                Route("/sign-on", authorize.sign_on),
                Route("/sign-on", authorize.sign_on_with_password, methods=["POST"]),
                Route("/sign-on/start", authorize.sign_on_elsewhere, methods=["POST"]),
                Route("/sign-on/callback", authorize.sign_on_callback),
                Route("/confirm", authorize.confirm),
                Route("/confirm", authorize.decide, methods=["POST"]),
                Route("/umbrella/callback", sign_in.callback),
                Route("/umbrella/backchannel", sign_in.backchannel, methods=["POST"]),
                Route("/open", self._doors.open),
                Mount("/static", StaticFiles(directory=HERE / "static")),
            ]
        )
        self._own = self._own_site()
        self.app = Door(self._route, self._site_of)

    def _own_site(self) -> Site:
        settings = self._settings
        providers = [settings.umbrella, *([settings.sign_on] if settings.sign_on else [])]
        origins = {f"{urlsplit(p.issuer).scheme}://{urlsplit(p.issuer).netloc}" for p in providers}
        headers = security_headers(
            form_action=[settings.portal, *sorted(origins)], hsts=settings.scheme == "https"
        )
        return Site(
            settings.origin,
            headers,
            open_paths=frozenset({"/umbrella/backchannel", "/healthz"}),
            body_limit=LIMITS.form_bytes,
        )

    def _site_of(self, host: str) -> Site | None:
        host = host.lower()
        if host == self._settings.origin.partition("://")[2]:
            return self._own
        workspace_id = self._workspace_of(host)
        return Site(self._settings.workspace_origin(workspace_id)) if workspace_id else None

    def _workspace_of(self, host: str) -> str:
        workspace_id, _, zone = host.partition(".")
        return workspace_id if zone == self._settings.zone and is_workspace_id(workspace_id) else ""

    async def _route(self, scope: Any, receive: Any, send: Any) -> None:
        host = next(value for name, value in scope["headers"] if name == b"host").decode("latin-1").lower()
        workspace_id = self._workspace_of(host)
        if workspace_id:
            await self._doors.serve(workspace_id, scope, receive, send)
        else:
            await self._pages(scope, receive, send)

    async def watch(self) -> None:
        """Follow the agent's revocations until cancelled."""
        await self._verdicts.watch()

    async def close(self) -> None:
        """Close the connections to workspaces."""
        await self._doors.close()


def serve(located: Located) -> None:
    """Run the gateway until SIGTERM."""
    import uvloop

    from facility_agent.socket.client import DoorkeeperClient

    settings = gateway_settings(located)

    async def run() -> None:
        client = DoorkeeperClient(settings.socket, settings.token_file)
        gateway = Gateway(settings, client)
        watcher = asyncio.create_task(gateway.watch())
        try:
            await shared_serve(gateway.app, settings.host, settings.port, grace_s=3, ws_max_size=FRAME)
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher
            await gateway.close()
            await client.close()

    uvloop.run(run())
