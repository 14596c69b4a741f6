"""Settings → objects: the only place that knows which parts there are, and in which shapes the centre comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from central_portal.api.build import build_api
from central_portal.api.context import Services
from central_portal.asgi import Entrance, application
from central_portal.catalogue.finding import Finding
from central_portal.catalogue.restoring import Restoring
from central_portal.catalogue.services import FederatedSearch
from central_portal.crash import At, CrashingEvents, CrashingQueue, CrashingWriter, Moment, nothing
from central_portal.enrolment.authority import authority_of, hub_authorities
from central_portal.enrolment.members import Roster
from central_portal.enrolment.services import Enrolment
from central_portal.facilities.registry import FacilityRegistry
from central_portal.facilities.services import Facilities
from central_portal.federation import Federation
from central_portal.identity import views
from central_portal.identity.oidc import providers
from central_portal.identity.services import Identity
from central_portal.identity.unlinking import Unlinking
from central_portal.identity.watch import SessionWatch
from central_portal.link.commands import command_body
from central_portal.link.hub import Hub, HubSettings
from central_portal.link.measured import MeasuredLinks
from central_portal.link.orders import OrderRows
from central_portal.link.ports import Links, OrderQueue, Topic, Wakes
from central_portal.link.relay import RelayKey
from central_portal.link.relay_key import KeyFileRefused, load_or_make_key
from central_portal.link.relay_links import RelayLinks, RelaySettings
from central_portal.link.settlements import Settlements
from central_portal.link.wakes_memory import MemoryWakes
from central_portal.link.wakes_redis import RedisWakes
from central_portal.mirror.following import Mirror
from central_portal.mirror.lookup import MirrorLookup
from central_portal.mirror.records import MirrorRecords
from central_portal.mirror.searching import MirrorSearch
from central_portal.panosc.app import SearchApi
from central_portal.settings import CentreSettings, SettingsError
from central_portal.workspaces.broadcast import Broadcaster
from central_portal.workspaces.events import PortalEvents
from central_portal.workspaces.reports import Reports
from central_portal.workspaces.services import Workspaces
from central_portal.writer import Writer
from shared.crash import crash_at
from shared.door import App
from shared.errors import NotFound
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
DRAIN_ALONE = 2.0


@dataclass(frozen=True, slots=True)
class Centre:
    """A wired process of the centre; `central_portal.running` runs it. `followers` run as long as it does."""

    app: App | None
    hub: Hub | None
    relay: RelayLinks | None
    wakes: Wakes
    facilities: Facilities
    services: Services
    roster: Roster
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
        mutual_listen=settings.hub_mutual_listen,
        websocket_listen=settings.hub_websocket_listen,
        dial=settings.hub_address,
        lease=settings.hub_lease,
        session_age=settings.hub_session_age,
        drain=settings.hub_drain,
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
    """Hubs show the configured certificate, or one of the centre's own authority in the name that agents dial."""
    given, name = settings.hub_ca or settings.hub_certificate, settings.hub_name
    roots = None
    if given is not None:
        roots = _content(given)
    elif not settings.hub_plaintext:
        roots = authority_of(settings).trust()
        name = name or hub_settings(settings).dialled().host
    return RelayLinks(RelaySettings(settings.hub_plaintext, roots, name), relay_key(settings), facilities, wakes)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None


def _hub(
    settings: CentreSettings, federation: Federation, roster: Roster, events: Any, shape: Shape, at: At
) -> Hub:
    """The hub with what it needs to know who calls."""
    orders: OrderQueue = OrderRows()
    if settings.crash_at:
        events, orders = CrashingEvents(events, at), CrashingQueue(orders, at)
    authority, hub = authority_of(settings), hub_settings(settings)
    if shape is Shape.EMBEDDED:  # its agents have nowhere else to go meanwhile
        hub = replace(hub, drain=min(hub.drain, DRAIN_ALONE))
    enrolment = Enrolment(
        authority, roster, lambda: hub_authorities(settings, authority), settings.certificate_hours * 3600
    )
    registry = FacilityRegistry(
        federation, roster, settings.hub_lease, tokens=hub.mutual_address() is None or bool(hub.websocket_listen)
    )
    return Hub(
        hub, registry, events, orders,
        relay_key=relay_key(settings) if shape is Shape.HUB else None, enrolments=enrolment, authority=authority,
    )  # fmt: skip


def compose(settings: CentreSettings, federation: Federation, shape: Shape = Shape.EMBEDDED) -> Centre:
    """Wire everything of a shape. Raises SettingsError; opens nothing."""
    events, roster = _LateEvents(), Roster(federation)
    wakes: Wakes = RedisWakes(settings.redis) if settings.redis else MemoryWakes()
    facilities = Facilities(federation, wakes, eager=shape is not Shape.HUB)
    at = crash_at(settings.crash_at, Moment) if settings.crash_at else nothing
    hub = relay = None
    if shape is not Shape.WEB:
        hub = _hub(settings, federation, roster, events, shape, at)
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
    reports = Reports(writer, broadcaster, settlements)
    events.target = PortalEvents(facilities, reports, wakes)
    data = _data(asking, wakes, settings.query_deadline)
    services = Services(identity, facilities, workspaces, data[0], unlinking, *data[1:], federation)
    followers: list[Follower] = [roster.follow, facilities.follow, reports.expire]
    if hub is not None:
        mirror = Mirror(identity, facilities, hub.links.online, settings.mirror_every, settings.query_deadline)
        followers.append(mirror.follow)
    app = None
    roster.adopters.append(lambda now: facilities.adopt(now.facilities))
    if shape is not Shape.HUB:
        facilities.subscribe(broadcaster.facility_changed)
        entrance = Entrance(settings.origin, federation)
        roster.adopters += [views.adopt, entrance.adopt]
        known = providers(federation, settings.origin)
        views.bind(views.Wiring(identity, links, federation, known, settings.origin, settings.query_deadline))
        app = application(entrance, build_api(services), SearchApi(MirrorRecords(facilities.slugs)))
    if shape is Shape.WEB:  # nobody else changes rows beside a centre in one process
        followers += [watch.follow, broadcaster.follow]
    return Centre(app, hub, relay, wakes, facilities, services, roster, writer, tuple(followers))


Asking = tuple[Identity, Facilities, Links, Settlements, Writer]


def _data(asking: Asking, wakes: Wakes, deadline: float) -> tuple[FederatedSearch, Restoring, Finding]:
    """What asks facilities and the mirror about data."""
    identity, facilities = asking[:2]
    search = FederatedSearch(identity, facilities, deadline, open_data=MirrorSearch())
    restoring = Restoring(*asking, search, wakes, deadline)
    return search, restoring, Finding(identity, facilities, MirrorLookup(), deadline)


def _fence(hub: Hub, facilities: Facilities) -> Callable[[str], None]:
    """Tells the hub when rows say that another session is the facility's."""

    def changed(slug: str) -> None:
        with suppress(NotFound):  # it has left: what lets agents in cuts it off
            view = facilities.get(slug)
            hub.overtaken(slug, view.epoch, at_once=view.quarantined)

    return changed
