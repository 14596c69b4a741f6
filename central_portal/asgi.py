"""The centre's ASGI application: the door first, then GraphQL, Django's pages, and the web client."""

from __future__ import annotations

from typing import Any

from django.core.asgi import get_asgi_application

from central_portal.api.build import Api
from central_portal.client import Client
from central_portal.federation import Federation
from central_portal.panosc.app import SearchApi
from shared.door import Door, Site, security_headers
from shared.limits import LIMITS

_DJANGO = ("/signin/", "/signout", "/backchannel/", "/session/", "/connect/")
_PAGES = frozenset({"/signin/failed", "/signout/done"})


def portal_site(origin: str, federation: Federation) -> Site:
    """The portal's origin behind the door."""
    websocket = origin.replace("http", "ws", 1)
    gateways = sorted({facility.gateway for facility in federation.facilities})
    providers = sorted({_origin_of(p.issuer) for p in federation.providers})
    headers = security_headers(
        scripts=True,
        trusted_types=True,
        connect=[websocket, *gateways],
        form_action=[*providers, *gateways],
        hsts=origin.startswith("https://"),
    )
    # POST /signout needs no place here: no foreign page may post, and /signout/done is where a provider returns to.
    starts = tuple(f"/connect/{facility.id}/start" for facility in federation.facilities)
    backchannels = frozenset(f"/backchannel/{p.id}" for p in federation.providers)
    return Site(origin, headers, starts, backchannels, body_limit=LIMITS.form_bytes)


def _origin_of(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


class Router:
    """Chooses by path; everything that is no page of Django's is the web client's."""

    def __init__(self, api: Api, panosc: SearchApi, client: Client) -> None:
        self._api, self._panosc, self._client = api, panosc, client
        self._django = get_asgi_application()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request or socket."""
        path = scope["path"]
        if scope["type"] == "websocket":
            if path == "/graphql":
                await self._api.websocket(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": 4404})
        elif path == "/graphql":
            await self._api.http(scope, receive, send)
        elif path.startswith("/api/"):
            await self._panosc(scope, receive, send)
        elif path == "/healthz":
            await _healthy(send)
        elif _is_django(path, scope["method"]):
            await self._django(scope, receive, send)
        else:
            await self._client(scope, receive, send)


def _is_django(path: str, method: str) -> bool:
    if path in _PAGES or not path.startswith(_DJANGO):
        return False
    if path.startswith("/connect/"):
        return path.endswith(("/start", "/callback"))
    return method != "GET" or path.startswith("/signin/")


async def _healthy(send: Any) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"3"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok\n"})


class Entrance:
    """The portal's site behind the door. Its headers name every facility's gateway, so it changes with them."""

    def __init__(self, origin: str, federation: Federation) -> None:
        self._origin, self._host = origin, origin.partition("://")[2]
        self.adopt(federation)

    def adopt(self, federation: Federation) -> None:
        """These take part from now on."""
        self._site = portal_site(self._origin, federation)

    def __call__(self, host: str) -> Site | None:
        """The site of a `Host` header."""
        return self._site if host.lower() == self._host else None


def application(entrance: Entrance, api: Api, panosc: SearchApi) -> Door:
    """The whole application."""
    return Door(Router(api, panosc, Client()), entrance)
