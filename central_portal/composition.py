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
from central_portal.identity.unlinking import Unlinking
from central_portal.identity.views import Wiring, bind
from central_portal.link.commands import command_body
from central_portal.link.hub import Hub, HubSettings
from central_portal.link.orders import OrderRows
from central_portal.link.settlements import Settlements
from central_portal.link.wakes_memory import MemoryWakes
from central_portal.settings import CentreSettings, Federation
from central_portal.workspaces.broadcast import Broadcaster
from central_portal.workspaces.events import PortalEvents
from central_portal.workspaces.reports import Reports
from central_portal.workspaces.services import Workspaces
from central_portal.writer import Writer
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
    reports: Reports
    writer: Writer


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
    events, wakes, writer = _LateEvents(), MemoryWakes(), Writer()
    hub = Hub(
        hub_settings(settings),
        FacilityRegistry(federation),
        events,  # type: ignore[arg-type]
        OrderRows(),
    )
    identity = Identity(hub.links, command_body, settings.session_hours * 3600)
    facilities = Facilities(federation, wakes)
    broadcaster, settlements = Broadcaster(), Settlements(wakes)
    workspaces = Workspaces(
        identity, facilities, hub.links, settlements, writer, broadcaster, settings.query_deadline
    )
    unlinking = Unlinking(identity, facilities, hub.links, settlements, writer, settings.query_deadline)
    reports = Reports(writer, broadcaster, wakes)
    events.target = PortalEvents(facilities, reports)
    search = FederatedSearch(identity, facilities, settings.query_deadline)
    services = Services(identity, facilities, workspaces, search, unlinking, federation)
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
    return Centre(
        application(settings.origin, federation, build_api(services)), hub, facilities, services, reports, writer
    )
