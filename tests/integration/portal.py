"""A whole centre on its database, with agents that the test plays through the port `Links`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from central_portal.api.app import GraphQLOverHTTP
from central_portal.api.build import make_schema
from central_portal.api.context import Services
from central_portal.api.execute import Documents
from central_portal.catalogue.finding import Finding
from central_portal.catalogue.restoring import Restoring
from central_portal.catalogue.services import FederatedSearch
from central_portal.database import in_database
from central_portal.facilities import sessions
from central_portal.facilities.services import Facilities
from central_portal.federation import FacilityTable, Federation
from central_portal.identity.services import COOKIE, Identity
from central_portal.identity.unlinking import Unlinking
from central_portal.identity.watch import SessionWatch
from central_portal.link.orders import OrderRows
from central_portal.link.ports import HelloFacts, HubPlace, OrderAnswer, SealedBody
from central_portal.link.settlements import Settlements
from central_portal.link.wakes_memory import MemoryWakes
from central_portal.mirror.lookup import MirrorLookup
from central_portal.workspaces.broadcast import Broadcaster
from central_portal.workspaces.events import PortalEvents
from central_portal.workspaces.reports import Reports
from central_portal.workspaces.services import Workspaces
from central_portal.writer import Writer
from shared.catalogue import Dataset, SearchPage
from shared.commands import Answer, Redeemed, Verb
from shared.errors import DeadlineExceeded, FacilityUnavailable
from shared.facilities import (
    CarriedBy,
    Environment,
    FacilityDescription,
    Flavour,
    Outcome,
    Software,
    UsedAs,
)
from shared.identity import Scope, Subject
from shared.wire.commands import decode_body, encode_body
from shared.wire.facilities import encode_description

Reply = Callable[[Any, SealedBody], Awaitable[Answer]]


class Agents:
    """Implements `Links`: each facility answers as the test says; absent ones are offline."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {}
        self.asked: list[tuple[str, Verb, str]] = []
        self.settled: Callable[[str, int, list[OrderAnswer]], Awaitable[Any]] | None = None
        self.epochs: dict[str, int] = {}
        self.never = asyncio.Event()
        self._delivering: set[asyncio.Task[None]] = set()
        self._delivered: set[str] = set()

    def online(self, facility_id: str) -> bool:
        return facility_id in self.replies

    async def ask(self, facility_id: str, verb: Verb, command: SealedBody, timeout_s: float) -> Answer:
        if facility_id not in self.replies:
            raise FacilityUnavailable
        self.asked.append((facility_id, verb, command.grant_id))
        try:
            async with asyncio.timeout(timeout_s):
                return await self.replies[facility_id](decode_body(command.body), command)
        except TimeoutError:
            raise DeadlineExceeded from None

    def deliver(self, facility_id: str, order: Any = None) -> None:
        """What is committed reaches a facility that is online, each order once."""
        if facility_id in self.replies:
            task = asyncio.create_task(self._deliver(facility_id))
            self._delivering.add(task)
            task.add_done_callback(self._delivering.discard)

    async def pass_over(self, facility_id: str) -> None:
        """What is open there now is an earlier test's: it is never delivered."""
        orders = await OrderRows().open_of({facility_id: self._delivered}, 1000)
        self._delivered.update(order.id for order in orders)

    async def _deliver(self, facility_id: str) -> None:
        for order in await OrderRows().open_of({facility_id: self._delivered}, 100):
            self._delivered.add(order.id)
            command = decode_body(order.sealed.body)
            self.asked.append((facility_id, command.verb, order.sealed.grant_id))
            answer = await self.replies[facility_id](command, order.sealed)
            assert self.settled is not None
            epoch = self.epochs[facility_id]
            await self.settled(facility_id, epoch, [OrderAnswer(order.id, lambda _, said=answer: said)])

    async def idle(self) -> None:
        """Until everything under way is delivered and settled."""
        await asyncio.gather(*self._delivering)


def dataset(pid: str, started: float | None, *, is_open: bool = True) -> Dataset:
    return Dataset(pid, f"Title {pid}", "P1", "I1", "S", "NXsas", started, None, 10, 1, is_open)


def finds(*datasets: Dataset) -> Reply:
    async def reply(command: Any, _: SealedBody) -> Answer:
        return Answer(Outcome.OK, SearchPage(datasets[: command.parameters.limit]))

    return reply


def description(slug: str) -> FacilityDescription:
    flavours = (Flavour("small", "Small", 1, 2**30, 0, 0, 3600), Flavour("huge", "Huge", 99, 2**40, 0, 0, 3600))
    environment = Environment(
        "jupyter",
        "Notebook",
        "",
        UsedAs.NOTEBOOK,
        CarriedBy.PROCESS,
        (Software("pyFAI", "1"),),
        ("small",),
        "small",
        "none",
    )
    return FacilityDescription(
        slug, slug.title(), "Town", "FR", "", "", "", "", "1", environments=(environment,), flavours=flavours
    )


class Portal:
    """The centre of a test."""

    def __init__(
        self, slugs: tuple[str, ...] = ("alpha", "beta"), deadline: float = 0.3, open_data: Any = None
    ) -> None:  # fmt: skip
        tables = tuple(
            FacilityTable(
                id=s,
                name=s.title(),
                public_key="x",
                gateway=f"http://{s}.localhost:1",
                workspace_zone=f"{s}-w.localhost:1",
            )
            for s in slugs
        )
        self.agents, self.federation = Agents(), Federation(facilities=tables)
        wakes, writer = MemoryWakes(), Writer()
        self.wakes = wakes
        broadcaster, settlements = Broadcaster(wakes), Settlements(wakes)
        self.identity = Identity(self.agents, encode_body, 3600, SessionWatch(wakes))
        self.facilities = Facilities(self.federation, wakes)
        self.facilities.subscribe(broadcaster.facility_changed)
        self.reports = Reports(writer, broadcaster, settlements)
        self.agents.settled = self.reports.settled
        parts = (self.identity, self.facilities, self.agents, settlements, writer)
        self.workspaces = Workspaces(*parts, broadcaster, deadline)
        search = FederatedSearch(self.identity, self.facilities, deadline, open_data=open_data)
        unlinking = Unlinking(*parts, deadline)
        finding = Finding(self.identity, self.facilities, MirrorLookup(), deadline)
        restoring = Restoring(*parts, search, wakes, deadline, soon_s=0.05)
        self.services = Services(
            self.identity, self.facilities, self.workspaces, search, unlinking, restoring, finding, self.federation
        )  # fmt: skip
        schema = make_schema()
        self._app = GraphQLOverHTTP(schema, Documents(schema), self.services)
        self.executed = 0

    async def connect(self, slug: str, reply: Reply) -> None:
        if slug not in self.agents.epochs:
            await self.agents.pass_over(slug)
        self.agents.replies[slug] = reply
        hello = HelloFacts(
            f"session-{slug}", f"instance-{slug}", 1, "store", description=encode_description(description(slug))
        )
        admission = await in_database(sessions.admit)(slug, hello, HubPlace("hub", "127.0.0.1:1"), 3600.0)
        self.agents.epochs[slug] = admission.epoch
        await self.facilities.changed(slug)

    async def disconnect(self, slug: str) -> None:
        epoch = self.facilities.get(slug).epoch
        await in_database(sessions.close)(slug, epoch, "LOST")
        self.agents.replies.pop(slug, None)
        await PortalEvents(self.facilities, self.reports, self.wakes).disconnected(slug, epoch)

    @property
    def epochs(self) -> dict[str, int]:
        """The epoch of each facility's newest session."""
        return self.agents.epochs

    async def age_orders(self, seconds: float) -> None:
        """Let this much time pass for every order."""
        from django.db.models import F

        from central_portal.link.models import Order

        aged = Order.objects.update
        await in_database(aged)(created_at=F("created_at") - seconds, expires_at=F("expires_at") - seconds)

    async def person(self, sub: str, *granted: str) -> str:
        """Somebody who is signed in, with grants at these facilities; their cookie."""
        cookie = await self.identity.sign_in(
            "", Subject("http://op", sub), sub.title(), "umbrella", f"sid-{sub}", "t"
        )
        caller = await self.identity.caller({COOKIE: cookie})
        assert caller is not None
        for slug in granted:
            grant = Redeemed(f"grant-{sub}-{slug}", (Scope.READ, Scope.RUN), 3_600_000, 0)
            await self.identity.keep_grant(caller, slug, grant, b"s" * 32)
        return cookie

    async def ask(self, query: str, variables: dict[str, Any] | None = None, cookie: str = "") -> dict[str, Any]:
        status, body = await self.post(json.dumps({"query": query, "variables": variables}).encode(), cookie)
        answer: dict[str, Any] = orjson.loads(body)
        answer["status"] = status
        return answer

    async def post(
        self, body: bytes, cookie: str = "", method: str = "POST", kind: bytes = b"application/json"
    ) -> tuple[int, bytes]:
        headers = [(b"content-type", kind)]
        if cookie:
            headers.append((b"cookie", f"{COOKIE}={cookie}".encode()))
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self._app({"type": "http", "method": method, "path": "/graphql", "headers": headers}, receive, send)
        return sent[0]["status"], sent[1]["body"]
