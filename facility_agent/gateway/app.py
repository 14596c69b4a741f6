"""The gateway's process: the door, its own pages, and every workspace's origin."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from facility_agent.config import Located
from facility_agent.gateway.authorize import Authorize
from facility_agent.gateway.front import Front, Place
from facility_agent.gateway.pages import HERE, Pages
from facility_agent.gateway.places import PlacePages
from facility_agent.gateway.refusals import Refusals
from facility_agent.gateway.sessions import Sessions
from facility_agent.gateway.settings import GatewaySettings, gateway_settings
from facility_agent.gateway.sign_in import SignIn
from facility_agent.gateway.traffic import Traffic
from facility_agent.gateway.verdicts import Verdicts
from facility_agent.gateway.workspaces import WorkspaceDoors
from facility_agent.ports.doorkeeper import Doorkeeper
from shared.door import Door, Site, security_headers
from shared.errors import ParasolError
from shared.limits import LIMITS
from shared.serving import serve as shared_serve
from shared.workspaces import is_workspace_id

HOSTS = 4096


class Gateway:
    """A wired gateway. `front` takes connections, `app` answers for its own pages; run `watch` beside it."""

    def __init__(self, settings: GatewaySettings, door: Doorkeeper) -> None:
        self._settings = settings
        pages, sessions = Pages(settings.facility_name, settings.portal), Sessions(door)
        sign_in = SignIn(settings, door, sessions, pages)
        authorize = Authorize(settings, door, sessions, sign_in, pages)
        places = PlacePages(settings, door, sessions, sign_in, pages)
        self._verdicts = Verdicts(door)
        inline = Pages(settings.facility_name, settings.portal, inline=True)
        self._doors = WorkspaceDoors(
            settings, door, sessions, sign_in, self._verdicts, Refusals(pages), Refusals(inline)
        )
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
                Route("/places", places.show),
                Route("/places", places.change, methods=["POST"]),
                Mount("/static", StaticFiles(directory=HERE / "static")),
            ],
            exception_handlers={ParasolError: pages.unexpected, Exception: pages.unexpected},
        )
        self._own = self._own_site()
        self.app = Door(self._pages, lambda host: self._own if self._is_own(host.lower()) else None)
        self.front = Front(self._doors, settings.scheme, lru_cache(HOSTS)(self._place_of), Traffic(door))

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

    def _is_own(self, host: str) -> bool:
        return host == self._settings.origin.partition("://")[2]

    def _place_of(self, host: str) -> Place:
        if self._is_own(host):
            return self._own, ""
        workspace_id, _, zone = host.partition(".")
        if zone != self._settings.zone or not is_workspace_id(workspace_id):
            return None, ""
        return Site(self._settings.workspace_origin(workspace_id)), workspace_id

    async def watch(self) -> None:
        """Follow the agent's revocations and end what waits too long, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._verdicts.watch())
            tasks.create_task(self.front.sweep())
            tasks.create_task(self.front.traffic.run())


def serve(located: Located) -> None:
    """Run the gateway until SIGTERM."""
    import uvloop

    from facility_agent.socket.client import DoorkeeperClient

    settings = gateway_settings(located)

    async def run() -> None:
        client = DoorkeeperClient(settings.socket, settings.token_file)
        gateway = Gateway(settings, client)
        try:
            async with (
                asyncio.TaskGroup() as tasks
            ):  # without its watcher it would let in whom the agent shuts out
                watcher = tasks.create_task(gateway.watch())
                await shared_serve(gateway.app, settings.host, settings.port, grace_s=3, http=gateway.front.accept)
                watcher.cancel()
        finally:
            gateway.front.close()
            await gateway.front.traffic.tell()
            await client.close()

    uvloop.run(run())
