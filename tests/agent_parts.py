"""A facility's core on a real store, with a scheduler that outlives it: agents may be ended and made anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facility_agent.core.accounts import Accounts
from facility_agent.core.catalogue import Catalogue
from facility_agent.core.commands import AgentCore, Events
from facility_agent.core.feed import Feed
from facility_agent.core.grants import GrantLives, Grants
from facility_agent.core.means import means
from facility_agent.core.offers import Offer, Offers
from facility_agent.core.orders import Orders
from facility_agent.core.reports import report
from facility_agent.core.workspaces import Workspaces
from facility_agent.link.codec import LinkCodec, OpenRecordCodec
from facility_agent.ports.access_rules import AccessRules
from facility_agent.ports.catalogue import CatalogueBackend, Location, Reader
from facility_agent.ports.compute import Capacity, ComputeBackend, Endpoint, Observation, RunState, StartSpec
from facility_agent.ports.directory import Account, Directory
from facility_agent.ports.link import AskedOrder
from facility_agent.ports.moments import Moment
from facility_agent.ports.sign_on import PasswordSignOn
from facility_agent.ports.store import GrantRow, LinkRow, WorkspaceRow
from facility_agent.store.feed import SqliteFeed
from facility_agent.store.sqlite import SqliteStore
from facility_agent.store.vault import KeyFileVault
from shared.catalogue import Dataset, FilePage, ProposalPage, ProposalQuery, SearchPage, SearchQuery
from shared.commands import Answer, GetFiles, Parameters, Stop, Unlink, Verb
from shared.errors import BackendUnavailable, NotFound
from shared.facilities import CarriedBy, Environment, FacilityDescription, Flavour, UsedAs
from shared.identity import Subject
from shared.wire import proof
from shared.wire.commands import encode_body
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.orders import decode_order_result
from shared.workspaces import LaunchRequest

ADA, EVE = Subject("https://op", "ada"), Subject("https://op", "eve")
SECRETS = {"grant-ada": b"a" * 32, "grant-eve": b"e" * 32}
LAUNCH = LaunchRequest("jupyter", "small", ("P1",), "", "Mine", 3600)
FLAVOUR = Flavour("small", "Small", 1, 2**30, 0, 2**30, 8 * 3600)
ENVIRONMENT = Environment(
    "jupyter", "Notebook", "", UsedAs.NOTEBOOK, CarriedBy.PROCESS, (), ("small",), "small", "account"
)


def workspace(number: int) -> str:
    """A workspace's id."""
    return f"{number:08x}-2222-4333-8444-555555555555"


async def until(look: Callable[[], Awaitable[bool]], deadline: float = 10.0) -> None:
    """Asks again and again until `look` holds. Raises TimeoutError."""
    async with asyncio.timeout(deadline):
        while not await look():
            pass


class Killed(BaseException):
    """The process has ended here."""


@dataclass
class Scheduler:
    """What really runs. `started` is every start that had an effect; it outlives every agent."""

    started: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    runs: set[str] = field(default_factory=set)
    ended: dict[str, Observation] = field(default_factory=dict)
    down: bool = False
    hold: asyncio.Event | None = None
    stubborn: int = 0


class SchedulerCompute(ComputeBackend):
    """An agent's way to a scheduler. A handle is the workspace's id with a mark."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def _asked(self) -> Scheduler:
        if self._scheduler.down:
            raise BackendUnavailable("The scheduler does not answer.")
        return self._scheduler

    async def start(self, spec: StartSpec, account: Account) -> str:
        scheduler = self._asked()
        if spec.workspace_id not in scheduler.runs:
            scheduler.started.append(spec.workspace_id)
            scheduler.runs.add(spec.workspace_id)
        if scheduler.hold is not None:
            await scheduler.hold.wait()
        return f"job-{spec.workspace_id}"

    async def inspect(self, handles: Sequence[str]) -> Mapping[str, Observation]:
        return {handle: self._look(handle.removeprefix("job-")) for handle in handles}

    def _look(self, name: str) -> Observation:
        if self._scheduler.down:
            return Observation(RunState.UNKNOWN)
        if name in self._scheduler.ended:
            return self._scheduler.ended[name]
        return Observation(RunState.RUNNING if name in self._scheduler.runs else RunState.GONE)

    async def stop(self, handle: str) -> None:
        scheduler, name = self._asked(), handle.removeprefix("job-")
        if scheduler.stubborn:
            scheduler.stubborn -= 1
            raise BackendUnavailable("It does not stop yet.")
        if name in scheduler.runs:
            scheduler.runs.remove(name)
            scheduler.stopped.append(name)
            scheduler.ended[name] = Observation(RunState.GONE, exit_code=0)

    async def list_owned(self) -> Mapping[str, str]:
        return {name: f"job-{name}" for name in self._asked().runs}

    async def endpoint(self, handle: str) -> Endpoint | None:
        return None

    async def logs(self, handle: str) -> str:
        return ""

    async def capacity(self) -> Capacity:
        return Capacity()


class People(Directory, PasswordSignOn, AccessRules):
    """Two accounts, both members of P1. `down` says that nobody can ask."""

    def __init__(self) -> None:
        self.down = False

    async def account(self, username: str) -> Account:
        if self.down:
            raise BackendUnavailable("The directory does not answer.")
        return Account(username, f"id-{username}", 1000, 1000, (), Path("/home/x"))

    async def check(self, username: str, password: str) -> str:
        return username

    async def may_use(self, account: Account) -> bool:
        return True

    async def proposals(self, account: Account) -> Set[str]:
        return {"P1"}


class Shelf(CatalogueBackend):
    """One proposal with a folder."""

    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        return SearchPage(())

    async def get(self, pid: str, reader: Reader) -> Dataset:
        raise NotFound

    async def proposals(self, query: ProposalQuery, reader: Reader) -> ProposalPage:
        return ProposalPage()

    async def files(self, wanted: GetFiles, reader: Reader) -> FilePage:
        raise NotFound

    async def locate(self, proposal: str) -> Location:
        return Location(proposal, Path("/"))

    async def instruments(self) -> tuple[str, ...]:
        return ("I1",)

    async def open_proposals(self) -> Set[str]:
        return frozenset()


class Facility:
    """What stays when an agent ends: the folder, the scheduler, the people, the clock."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.scheduler, self.people = folder, Scheduler(), People()
        self.now = 1_000_000.0
        self.agents: list[Agent] = []

    async def agent(self, kill_at: Moment | None = None, per_account: int = 3) -> Agent:
        """A fresh process. It dies at `kill_at`."""
        agent = Agent(self, kill_at, per_account)
        self.agents.append(agent)
        await agent.store.probe()
        await agent.workspaces.recover()
        return agent

    async def close(self) -> None:
        for agent in self.agents:
            await agent.die()

    def order(
        self, order_id: str, parameters: Parameters, grant: str = "grant-ada", expires_in: float | None = 500.0
    ) -> AskedOrder:
        """As the centre seals it."""
        verb = {LaunchRequest: Verb.LAUNCH, Stop: Verb.STOP, Unlink: Verb.UNLINK}[type(parameters)]
        expires = 0 if expires_in is None else int((self.now + expires_in) * 1000)
        body = encode_body("alpha", order_id, verb, parameters, expires)
        return AskedOrder(order_id, body, grant, proof.mac(SECRETS[grant], body))


class Agent:
    """The agent's core."""

    def __init__(self, facility: Facility, kill_at: Moment | None = None, per_account: int = 3) -> None:
        self._kill_at, self.facility = kill_at, facility
        self.moments: list[Moment] = []
        self.dead = asyncio.Event()
        self.store = SqliteStore(facility.folder / "agent.sqlite3")
        self.vault = KeyFileVault(facility.folder / "vault.key")
        clock = lambda: facility.now  # noqa: E731
        people, self.events = facility.people, Events()
        self.cut: list[str] = []
        self.accounts = Accounts(self.store, people, people, people, self.cut.extend)
        self.grants = Grants(self.store, self.vault, "alpha", GrantLives(), clock)
        catalogue = Catalogue(Shelf(), people)
        offers = Offers({"jupyter": Offer(ENVIRONMENT, ("true",))}, {"small": FLAVOUR})
        self.workspaces = Workspaces(
            self.store, self.vault, self.accounts, catalogue, SchedulerCompute(facility.scheduler), offers,
            per_account, clock, lambda row: self.events.publish(report(row, clock())), self.at,
        )  # fmt: skip
        self.orders = Orders(
            self.store,
            self.grants,
            means(self.accounts, self.workspaces),
            LinkCodec(),
            clock,
            at=self.at,
            pause=0.02,
        )
        describe = lambda: FacilityDescription("alpha", "Alpha", "", "", "", "", "", "", "0.1.0")  # noqa: E731
        self.records = SqliteFeed(facility.folder / "feed.sqlite3", clock)
        self.feed = Feed(Shelf(), self.records, OpenRecordCodec(), clock, 30.0)
        self.core = AgentCore(
            "alpha", self.grants, self.accounts, catalogue, self.feed, self.workspaces, describe, self.events
        )
        self._tasks: list[asyncio.Task[None]] = []

    def at(self, moment: Moment) -> None:
        self.moments.append(moment)
        if moment is self._kill_at or self.dead.is_set():
            self.dead.set()
            raise Killed

    def watch(self) -> None:
        """What goes on by itself."""
        self._tasks += [asyncio.create_task(self.orders.watch()), asyncio.create_task(self.workspaces.watch())]

    async def die(self) -> None:
        """Nothing of this process goes on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.orders.stop()
        await self.workspaces.leave()
        await self.records.close()
        await asyncio.to_thread(self.store.close)

    async def linked(self, *names: str) -> None:
        """These people have linked their accounts and given grants."""
        for name in names or ("ada",):
            subject, grant_id = Subject("https://op", name), f"grant-{name}"
            box = self.vault.seal(f"grant {grant_id}", SECRETS[grant_id])
            link = LinkRow(subject, name, f"id-{name}", 1, active=True)
            now = self.facility.now
            row = GrantRow(grant_id, subject, "sid", f"id-{name}", 1, "read run", box, now, now + 43_200)
            await self.store.transact(lambda tx, link=link, row=row: (tx.put_link(link), tx.put_grant(row)))  # type: ignore[misc]

    async def take(self, asked: AskedOrder) -> tuple[Answer | None, int]:
        """The answer to an order, and how often its acceptance was told."""
        told: list[int] = []
        result = await self.orders.take(asked, lambda: told.append(1))
        return (answer_of(asked, result) if result is not None else None), len(told)

    async def dies_of(self, asked: AskedOrder) -> list[int]:
        """Hand an order in, and see the process end; what it told before."""
        told: list[int] = []
        task = asyncio.create_task(self.orders.take(asked, lambda: told.append(1)))
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self.dead.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert self.dead.is_set(), "the moment was reached"
        await self.die()
        return told

    def seen(self, workspace_id: str) -> WorkspaceRow:
        """What the agent last saw of a workspace that it knows."""
        row = self.workspaces.latest(workspace_id)
        assert row is not None
        return row

    async def row(self, workspace_id: str) -> Any:
        """A workspace's row."""
        return await self.workspaces.known(workspace_id)


def answer_of(asked: AskedOrder, result: bytes) -> Answer:
    """What the centre reads in a result."""
    message = pb.OrderResult.FromString(result)
    assert message.order_id == asked.order_id
    verb = Verb(pb.Body.FromString(asked.body).verb)
    return decode_order_result(verb, message)
