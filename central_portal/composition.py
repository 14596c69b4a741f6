"""Settings → objects: the only place that knows which parts there are."""

from __future__ import annotations

from dataclasses import dataclass

from central_portal.api.build import build_api
from central_portal.api.resolvers import Services
from central_portal.asgi import application
from central_portal.catalogue.services import FederatedSearch
from central_portal.facilities.registry import FacilityRegistry
from central_portal.facilities.services import Facilities
from central_portal.identity.oidc import providers
from central_portal.identity.services import Identity
from central_portal.identity.views import Wiring, bind
from central_portal.link.commands import command_body
from central_portal.link.hub import Hub, HubSettings
from central_portal.link.wakes_memory import MemoryWakes
from central_portal.settings import CentreSettings, Federation
from central_portal.workspaces.events import PortalEvents
from central_portal.workspaces.services import Broadcaster, Workspaces
from shared.door import App


class _LateEvents:
    """Breaks the circle hub → events → workspaces → identity → links → hub."""

    target: PortalEvents

    def __getattr__(self, name: str) -> object:
        return getattr(self.target, name)


@dataclass(frozen=True, slots=True)
class Centre:
    """A wired centre. Start the hub inside the loop that serves `app`."""

    app: App
    hub: Hub
    facilities: Facilities
    services: Services


def hub_settings(settings: CentreSettings) -> HubSettings:
    """The hub's part of the settings; its own `address()` says whether it may be used."""
    return HubSettings(
        listen=settings.hub_listen,
        audience=settings.hub_audience,
        certificate=settings.hub_certificate,
        key=settings.hub_key,
        plaintext=settings.hub_plaintext,
    )


def compose(settings: CentreSettings, federation: Federation) -> Centre:
    """Wire everything. Raises SettingsError; opens nothing."""
    events = _LateEvents()
    hub = Hub(
        hub_settings(settings),
        FacilityRegistry(federation),
        events,  # type: ignore[arg-type]
    )
    identity = Identity(hub.links, command_body, settings.session_hours * 3600)
    wakes = MemoryWakes()
    facilities = Facilities(federation, wakes)
    workspaces = Workspaces(identity, facilities, Broadcaster(), settings.query_deadline)
    events.target = PortalEvents(facilities, workspaces)
    search = FederatedSearch(identity, facilities, settings.query_deadline)
    services = Services(identity, facilities, workspaces, search, federation)
    bind(
        Wiring(
            identity,
            hub.links,
            federation,
            providers(federation, settings.origin),
            settings.origin,
            settings.query_deadline,
        )
    )
    return Centre(application(settings.origin, federation, build_api(services)), hub, facilities, services)
