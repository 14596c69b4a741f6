"""Settings → objects: the only place that knows which parts there are, and in which shapes the centre comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from central_portal.api.build import build_api
from central_portal.api.resolvers import Services
from central_portal.asgi import application
from central_portal.catalogue.services import FederatedSearch
from central_portal.crash import CrashingEvents, CrashingQueue, CrashingWriter, Moment
from central_portal.facilities.registry import FacilityRegistry
from central_portal.facilities.services import Facilities
from central_portal.identity.oidc import providers
from central_portal.identity.services import Identity
from central_portal.identity.unlinking import Unlinking
from central_portal.identity.views import Wiring, bind
from central_portal.identity.watch import SessionWatch
from central_portal.link.commands import command_body
from central_portal.link.hub import Hub, HubSettings
from central_portal.link.measured import MeasuredLinks
from central_portal.link.orders import OrderRows
from central_portal.link.ports import Links, Topic, Wakes
from central_portal.link.relay import RelayKey
from central_portal.link.relay_key import KeyFileRefused, load_or_make_key
from central_portal.link.relay_links import RelayLinks, RelaySettings
from central_portal.link.settlements import Settlements
from central_portal.link.wakes_memory import MemoryWakes
from central_portal.link.wakes_redis import RedisWakes
from central_portal.settings import CentreSettings, Federation, SettingsError
from central_portal.workspaces.broadcast import Broadcaster
from central_portal.workspaces.events import PortalEvents
from central_portal.workspaces.reports import Reports
from central_portal.workspaces.services import Workspaces
from central_portal.writer import Writer
from shared.crash import crash_at
from shared.door import App
from shared.link.terms import DEFAULT


class Shape(Enum):
    """How much of the centre a process is."""

    EMBEDDED = "serve"
    WEB = "web"
    HUB = "hub"


class _LateEvents:
    """Breaks the circle hub → events → workspaces → identity → links → hub."""

    target: PortalEvents

    def __getattr__(self, name: str) -> object:
        return getattr(self.target, name)


Follower = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Centre:
    """A wired process of the centre; `central_portal.running` runs it. `followers` run as long as it does."""

    app: App | None
    hub: Hub | None
    relay: RelayLinks | None
    wakes: Wakes
    facilities: Facilities
    services: Services
    writer: Writer
    followers: tuple[Follower, ...]


def hub_settings(settings: CentreSettings) -> HubSettings:
    """The hub's part of the settings; its own `address()` says whether it may be used."""
    return HubSettings(
        listen=settings.hub_listen,
        audience=settings.hub_audience,
        certificate=settings.hub_certificate,
        key=settings.hub_key,
        plaintext=settings.hub_plaintext,
        lease=settings.hub_lease,
        advertise=settings.hub_advertise,
        terms=replace(DEFAULT, heartbeat_every=settings.hub_heartbeat, dead_after=settings.hub_dead_after),
    )


def relay_key(settings: CentreSettings) -> RelayKey:
    """The key of the relay, made in the data folder when none is named. Raises SettingsError."""
    given = settings.relay_key_file
    try:
        return RelayKey(load_or_make_key(given or settings.data / "relay.key", make=given is None))
    except KeyFileRefused as error:
        raise SettingsError(str(error)) from None


def _relay(settings: CentreSettings, facilities: Facilities, wakes: Wakes) -> RelayLinks:
    ca = settings.hub_ca or settings.hub_certificate
    roots = _content(ca) if ca else None
    return RelayLinks(
        RelaySettings(settings.hub_plaintext, roots, settings.hub_name), relay_key(settings), facilities, wakes
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None


def compose(settings: CentreSettings, federation: Federation, shape: Shape = Shape.EMBEDDED) -> Centre:
    """Wire everything of a shape. Raises SettingsError; opens nothing."""
    events = _LateEvents()
    wakes: Wakes = RedisWakes(settings.redis) if settings.redis else MemoryWakes()
    facilities = Facilities(federation, wakes)
    at = crash_at(settings.crash_at, Moment)
    hub = relay = None
    if shape is not Shape.WEB:
        hub = Hub(
            hub_settings(settings),
            FacilityRegistry(federation, settings.hub_lease),
            CrashingEvents(events, at) if settings.crash_at else events,  # type: ignore[arg-type]
            CrashingQueue(OrderRows(), at) if settings.crash_at else OrderRows(),
            relay_key=relay_key(settings) if shape is Shape.HUB else None,
        )
        facilities.subscribe(_fence(hub, facilities))
        wakes.listen(Topic.ORDER, hub.wake)
        links: Links = MeasuredLinks(hub.links)
    else:
        relay = _relay(settings, facilities, wakes)
        links = MeasuredLinks(relay)
    watch, broadcaster = SessionWatch(wakes), Broadcaster(wakes)
    identity = Identity(links, command_body, settings.session_hours * 3600, watch)
    settlements, writer = Settlements(wakes), CrashingWriter(at) if settings.crash_at else Writer()
    asking = (identity, facilities, links, settlements, writer)
    workspaces = Workspaces(*asking, broadcaster, settings.query_deadline)
    unlinking = Unlinking(*asking, settings.query_deadline)
    reports = Reports(writer, broadcaster, wakes)
    events.target = PortalEvents(facilities, reports)
    search = FederatedSearch(identity, facilities, settings.query_deadline)
    services = Services(identity, facilities, workspaces, search, unlinking, federation)
    followers: list[Follower] = [facilities.follow, reports.expire]
    app = None
    if shape is not Shape.HUB:
        facilities.subscribe(broadcaster.facility_changed)
        app = _application(settings, federation, identity, links, services)
    if shape is Shape.WEB:  # nobody else changes rows beside a centre in one process
        followers += [watch.follow, broadcaster.follow]
    return Centre(app, hub, relay, wakes, facilities, services, writer, tuple(followers))


def _fence(hub: Hub, facilities: Facilities) -> Callable[[str], None]:
    """Tells the hub when rows say that another session is the facility's."""

    def changed(slug: str) -> None:
        view = facilities.get(slug)
        hub.overtaken(slug, view.epoch, at_once=view.quarantined)

    return changed


def _application(
    settings: CentreSettings, federation: Federation, identity: Identity, links: Links, services: Services
) -> App:
    known = providers(federation, settings.origin)
    bind(Wiring(identity, links, federation, known, settings.origin, settings.query_deadline))
    return application(settings.origin, federation, build_api(services))
