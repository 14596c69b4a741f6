"""Settings → objects: the only place that knows which parts there are."""

from __future__ import annotations

from dataclasses import dataclass

from central_portal.api.build import build_api
from central_portal.api.resolvers import Services
from central_portal.asgi import Entrance, application
from central_portal.catalogue.services import FederatedSearch
from central_portal.enrolment.authority import authority_of, hub_authorities
from central_portal.enrolment.members import Roster
from central_portal.enrolment.services import Enrolment
from central_portal.facilities.registry import FacilityRegistry
from central_portal.facilities.services import Facilities
from central_portal.identity import views
from central_portal.identity.oidc import providers
from central_portal.identity.services import Identity
from central_portal.link.commands import command_body
from central_portal.link.hub import Hub, HubSettings
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
    roster: Roster


def hub_settings(settings: CentreSettings) -> HubSettings:
    """The hub's part of the settings; its own `address()` says whether it may be used."""
    return HubSettings(
        listen=settings.hub_listen,
        audience=settings.hub_audience,
        certificate=settings.hub_certificate,
        key=settings.hub_key,
        plaintext=settings.hub_plaintext,
        mutual_listen=settings.hub_mutual_listen,
        dial=settings.hub_address,
    )


def _hub(settings: CentreSettings, federation: Federation, roster: Roster, events: _LateEvents) -> Hub:
    """The hub with what it needs to know who calls."""
    authority, hub = authority_of(settings), hub_settings(settings)
    enrolment = Enrolment(
        authority, roster, lambda: hub_authorities(settings, authority), settings.certificate_hours * 3600
    )
    registry = FacilityRegistry(federation, roster, tokens=hub.mutual_address() is None)
    return Hub(hub, registry, events, enrolments=enrolment, authority=authority)  # type: ignore[arg-type]


def compose(settings: CentreSettings, federation: Federation) -> Centre:
    """Wire everything. Raises SettingsError; opens nothing."""
    events, roster = _LateEvents(), Roster(federation)
    hub = _hub(settings, federation, roster, events)
    identity = Identity(hub.links, command_body, settings.session_hours * 3600)
    facilities = Facilities(federation)
    workspaces = Workspaces(identity, facilities, Broadcaster(), settings.query_deadline)
    events.target = PortalEvents(facilities, workspaces)
    search = FederatedSearch(identity, facilities, settings.query_deadline)
    services = Services(identity, facilities, workspaces, search, federation)
    views.bind(
        views.Wiring(
            identity,
            hub.links,
            federation,
            providers(federation, settings.origin),
            settings.origin,
            settings.query_deadline,
        )
    )
    entrance = Entrance(settings.origin, federation)

    def adopt(now: Federation) -> None:
        facilities.adopt(now.facilities)
        views.adopt(now)
        entrance.adopt(now)

    roster.adopt = adopt
    return Centre(application(entrance, build_api(services)), hub, facilities, services, roster)
