"""What stands on either side of a link in tests: a small facility, a registry, and a recorder of events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central_portal.link.commands import command_body
from central_portal.link.heads import kept_after
from central_portal.link.ports import (
    Admission,
    Beat,
    EgressHead,
    FacilityKey,
    HeadNews,
    HelloFacts,
    HubPlace,
    OpenOrder,
    OrderAnswer,
    OrderState,
    SealedBody,
)
from facility_agent.ports.link import AskedOrder, CommandDecoder, Event, WaitingResult
from shared.catalogue import Dataset, SearchPage, SearchQuery
from shared.commands import Answer, Command, Verb, refusal
from shared.errors import ParasolError
from shared.facilities import FacilityDescription, Outcome
from shared.restores import DatasetReport
from shared.wire.commands import decode_body, verb_of
from shared.wire.orders import encode_order_result
from shared.workspaces import LaunchRequest, WorkspaceInventory, WorkspaceReport, WorkspaceState

WORKSPACE = "11111111-2222-4333-8444-555555555555"
BLANK = FacilityDescription("alpha", "Alpha", "Hamburg", "DE", "", "", "", "", "0.1.0")
REPORT = WorkspaceReport(WORKSPACE, 1, WorkspaceState.RUNNING)


async def eventually(look: Callable[[], bool], deadline: float = 10.0) -> None:
    """Lets the loop run until `look` holds. Raises TimeoutError after `deadline` seconds."""
    never = asyncio.Event()
    async with asyncio.timeout(deadline):
        while not look():
            with suppress(TimeoutError):
                await asyncio.wait_for(never.wait(), 0.01)


def dataset(pid: str, title: str = "") -> Dataset:
    """A dataset that is only told apart."""
    return Dataset(pid, title, "2026-open", "I22", "", "", None, None, 1, 1, is_open=True)


def search(text: str = "", facility_id: str = "alpha") -> SealedBody:
    """A search without a grant; `text` comes back as the dataset's identifier."""
    return SealedBody(command_body(facility_id, "c-1", Verb.SEARCH, SearchQuery(text=text), 1))


@dataclass
class SmallCore:
    """A facility that answers a search with its own text, and holds back what is called as in `held`."""

    facility_id: str = "alpha"
    listeners: list[Callable[[Event], None]] = field(default_factory=list)
    handled: list[Command] = field(default_factory=list)
    cancelled: list[Command] = field(default_factory=list)
    proofs: list[tuple[str, bytes]] = field(default_factory=list)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    finished: list[Command] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    floor: int = 0

    async def handle(self, body: bytes, grant_id: str, mac: bytes, decode: CommandDecoder, *_: Any) -> Answer:
        try:
            command = decode(body)
        except ParasolError as error:
            return refusal(error)
        self.handled.append(command)
        self.proofs.append((grant_id, mac))
        asked = command.parameters
        text = getattr(asked, "text", "") or getattr(asked, "title", "")
        if text == "bug":
            raise RuntimeError("a fault with /a/local/path in it")
        if text in self.held:
            try:
                await self.held[text].wait()
            except asyncio.CancelledError:
                self.cancelled.append(command)
                raise
        self.finished.append(command)
        if isinstance(asked, SearchQuery):
            return Answer(Outcome.OK, SearchPage((dataset(text or "none"),)))
        return Answer(Outcome.OK, replace(REPORT, workspace_id=command.command_id))

    async def take(self, asked: AskedOrder, accepted: Callable[[], None]) -> bytes | None:
        accepted()
        answer = await self.handle(asked.body, asked.grant_id, asked.mac, decode_body)
        return encode_order_result(asked.order_id, verb_of(asked.body), answer).SerializeToString()

    async def known(self, order_id: str) -> WaitingResult | None:
        return None

    async def waiting(self, after: WaitingResult | None, most: int) -> Sequence[WaitingResult]:
        return ()

    async def acknowledge(self, order_ids: Sequence[str]) -> None:
        self.acknowledged += order_ids

    async def raise_floor(self, epoch: int) -> int:
        self.floor = max(self.floor, epoch)
        return self.floor

    def on_settled(self, listener: Callable[[WaitingResult], None]) -> Callable[[], None]:
        return lambda: None

    def description(self) -> FacilityDescription:
        return replace(BLANK, facility_id=self.facility_id)

    def inventory(self) -> WorkspaceInventory:
        return WorkspaceInventory((REPORT,))

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def tell(self, event: Event) -> None:
        """Everybody who listens hears it."""
        for listener in tuple(self.listeners):
            listener(event)


@dataclass
class Enrolment:
    """A registry in memory."""

    keys: dict[str, Ed25519PrivateKey] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    hellos: list[HelloFacts] = field(default_factory=list)
    closed: list[tuple[str, int, str]] = field(default_factory=list)
    heads: dict[str, HeadNews] = field(default_factory=dict)

    async def key_of(self, facility_id: str) -> FacilityKey | None:
        key = self.keys.get(facility_id)
        return FacilityKey(facility_id, key.public_key().public_bytes_raw()) if key else None

    async def admit(self, facility_id: str, hello: HelloFacts, hub: HubPlace) -> Admission:
        self.epochs[facility_id] = self.epochs.get(facility_id, 0) + 1
        self.hellos.append(hello)
        kept = self.heads.get(facility_id, HeadNews(EgressHead()))
        return Admission(self.epochs[facility_id], head=kept.head)

    async def renew(self, hub_id: str, sessions: Mapping[str, Beat]) -> frozenset[str]:
        return frozenset(slug for slug, beat in sessions.items() if beat.epoch == self.epochs[slug])

    async def close(self, facility_id: str, epoch: int, ending: str) -> None:
        self.closed.append((facility_id, epoch, ending))

    async def keep_heads(self, news: Mapping[str, HeadNews]) -> Mapping[str, HeadNews]:
        for name, each in news.items():
            self.heads[name] = kept_after(self.heads.get(name, HeadNews(EgressHead())), each)
        return {name: self.heads[name] for name in news}


@dataclass
class MemoryQueue:
    """The open orders, in memory. `before_sent` happens between the reading of orders and their being sent."""

    rows: dict[str, OpenOrder] = field(default_factory=dict)
    broken: bool = False
    looks: int = 0
    before_sent: Callable[[], Awaitable[None]] | None = None

    def add(self, order_id: str, facility_id: str = "alpha", title: str = "T", traceparent: str = "") -> None:
        request = LaunchRequest("env", "small", (), "", title, 600)
        body = command_body(facility_id, order_id, Verb.LAUNCH, request, 1)
        sealed = SealedBody(body, "grant-1", b"m" * 32)
        self.rows[order_id] = OpenOrder(order_id, facility_id, OrderState.WAITING, sealed, traceparent)

    async def open_of(self, facilities: Mapping[str, Collection[str]], limit: int) -> list[OpenOrder]:
        self.looks += 1
        if self.broken:
            raise OSError("the database is away")
        found = [row for row in self.rows.values() if row.id not in facilities.get(row.facility, [row.id])]
        return found[:limit]

    async def sent(self, ids: Collection[str]) -> Collection[str]:
        if self.before_sent is not None:
            await self.before_sent()
        self._advance(ids, OrderState.SENT)
        return [order_id for order_id in ids if order_id in self.rows]

    async def accepted(self, ids: Collection[str]) -> None:
        self._advance(ids, OrderState.ACCEPTED)

    def _advance(self, ids: Collection[str], state: OrderState) -> None:
        for order_id in ids:
            if order_id in self.rows:
                self.rows[order_id] = replace(self.rows[order_id], state=state)


class Recorder:
    """Keeps what the hub reports, and lets a test wait for it."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self._changed = asyncio.Condition()
        self.queue = MemoryQueue()
        self.failing, self.refused = False, 0

    def away(self) -> bool:
        """Whether the database takes nothing now; counted."""
        self.refused += self.failing
        return self.failing

    async def _note(self, *what: Any) -> None:
        async with self._changed:
            self.seen.append(what)
            self._changed.notify_all()

    async def connected(self, facility_id: str, epoch: int, inventory: WorkspaceInventory) -> bool:
        await self._note("connected", facility_id, epoch, inventory)
        return not self.away()

    async def disconnected(self, facility_id: str, epoch: int) -> None:
        await self._note("disconnected", facility_id, epoch)

    async def described(self, facility_id: str, epoch: int, description: FacilityDescription) -> bool:
        if self.away():
            return False
        await self._note("described", facility_id, description)
        return True

    async def reported(self, facility_id: str, epoch: int, report: WorkspaceReport) -> bool:
        if self.away():
            return False
        await self._note("reported", facility_id, report)
        return True

    async def dataset_reported(self, facility_id: str, epoch: int, report: DatasetReport) -> bool:
        await self._note("dataset", facility_id, report)
        return True

    async def settled(self, facility_id: str, epoch: int, answers: Sequence[OrderAnswer]) -> list[str]:
        """Commits into the test's `queue`."""
        if self.away():
            return []
        for answer in answers:
            self.queue.rows.pop(answer.order_id, None)
            await self._note("settled", facility_id, epoch, answer.order_id, answer.read(Verb.LAUNCH))
        return [answer.order_id for answer in answers]

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        """What was reported under this name."""
        return [what for what in self.seen if what[0] == kind]

    async def until(self, kind: str, count: int = 1, deadline: float = 10.0) -> list[tuple[Any, ...]]:
        """Waits until `count` such reports were made, and gives them."""
        async with asyncio.timeout(deadline), self._changed:
            await self._changed.wait_for(lambda: len(self.of(kind)) >= count)
        return self.of(kind)
