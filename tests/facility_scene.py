"""A facility's core on its real store, with adapters in memory, a clock moved by hand, and the centre's half of a grant."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from facility_agent.adapters.places.rules import SitePlaces
from facility_agent.core.accounts import Accounts
from facility_agent.core.catalogue import Catalogue
from facility_agent.core.commands import AgentCore, Events
from facility_agent.core.doorkeeper import CoreDoorkeeper, Revocations
from facility_agent.core.feed import Feed
from facility_agent.core.grants import GrantLives, Grants
from facility_agent.core.means import means
from facility_agent.core.offers import Offer, Offers
from facility_agent.core.orders import Orders
from facility_agent.core.reports import report
from facility_agent.core.restores import Restores
from facility_agent.core.workspaces import Workspaces
from facility_agent.egress.narrowing import NarrowedCatalogue
from facility_agent.egress.policy import Policy, narrowed
from facility_agent.link.codec import LinkCodec, OpenRecordCodec
from facility_agent.places.template import Rule, parse
from facility_agent.ports.link import AskedOrder, Event
from facility_agent.ports.places import MountRule
from facility_agent.ports.store import WorkspaceRow
from facility_agent.store.feed import SqliteFeed
from facility_agent.store.sqlite import SqliteStore
from facility_agent.store.vault import KeyFileVault
from facility_agent.testing.accounts_world import Person
from facility_agent.testing.memory_accounts import MemoryAccounts
from facility_agent.testing.memory_catalogue import MemoryCatalogue
from facility_agent.testing.memory_compute import Machine, MemoryCompute
from facility_agent.testing.patience import eventually
from shared.catalogue import Dataset, SearchQuery
from shared.commands import ORDERS, Answer, Redeem, Redeemed, Verb
from shared.facilities import CarriedBy, Environment, FacilityDescription, Flavour, Software, UsedAs
from shared.identity import Scope, Subject
from shared.wire import proof
from shared.wire.commands import decode_body, encode_body, verb_of
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.orders import decode_order_result
from shared.workspaces import LaunchRequest, WorkspaceReport, WorkspaceState

BEGIN = 1_800_000_000.0
ADA, BEN = Subject("https://umbrella", "pairwise-ada"), Subject("https://umbrella", "pairwise-ben")
BOTH = frozenset({Scope.READ, Scope.RUN})
READ = frozenset({Scope.READ})
FLAVOURS = {
    "small": Flavour("small", "Small", 1, 2**30, 0, 0, 3600),
    "large": Flavour("large", "Large", 8, 2**33, 0, 0, 86_400),
}
ENVIRONMENTS = ("jupyter", "broken", "reduction")


@dataclass(frozen=True)
class Held:
    """A grant as its person's session at the centre holds it."""

    subject: Subject
    grant: Redeemed
    secret: bytes

    @property
    def grant_id(self) -> str:
        return self.grant.grant_id


def offered(name: str) -> Offer:
    environment = Environment(
        name, name.title(), "", UsedAs.TASK if name == "reduction" else UsedAs.NOTEBOOK, CarriedBy.PROCESS, (Software("x", "1"),), ("small",), "small", "none"
    )  # fmt: skip
    return Offer(environment, ("/bin/app", "{socket}"), (), (("Authorization", "token {secret}"),))


def dataset(pid: str, proposal: str) -> Dataset:
    return Dataset(pid, f"Title {pid}", proposal, "I22", "S", "NXsas", BEGIN, None, 10, 1, is_open=False)


def launch_request(**changes: Any) -> LaunchRequest:
    values: dict[str, Any] = {
        "environment": "jupyter", "flavour": "small", "proposals": ("P-1",), "dataset": "", "title": "Mine",
        "lifetime_s": 3600,
    } | changes  # fmt: skip
    return LaunchRequest(**values)


def refused(answer: Answer, *reasons: str) -> None:
    """Asserts a refusal for one of these reasons, with nothing in it."""
    assert answer.problem is not None, answer
    assert answer.problem.reason in reasons, answer
    assert answer.payload is None


def reported(answer: Answer) -> WorkspaceReport:
    """The facility's word on a workspace."""
    assert isinstance(answer.payload, WorkspaceReport), answer
    return answer.payload


class FacilityScene:
    """One facility, `alpha`: Ada has P-1 and P-2, Ben has P-3, everybody reads P-open."""

    def __init__(self, folder: Path, machine: Machine) -> None:
        self.now, self.folder, self.machine = BEGIN, folder, machine
        self.people = MemoryAccounts(self.clock)
        self.people.put(Person())
        self.people.put(Person("ben", "id-2", 4003, 4003, home="/home/ben", proposals=("P-3",)))
        folders = {p: folder / p for p in ("P-1", "P-2", "P-3", "P-open")}
        for path in (*folders.values(), folder / "processed" / "P-1"):
            path.mkdir(parents=True, exist_ok=True)
        self.shelf = MemoryCatalogue({"P-open"}, folders)
        self.shelf.put(
            [dataset("d-1", "P-1"), dataset("d-2", "P-2"), dataset("d-3", "P-3"), dataset("d-o", "P-open")]
        )
        self.told: list[Event] = []
        self.policy = Policy()
        self.open()

    def clock(self) -> float:
        return self.now

    def open(self) -> None:
        """Wire the agent, as after a start."""
        self.store = SqliteStore(self.folder / "agent.sqlite3")
        vault = KeyFileVault(self.folder / "vault.key")
        self.compute = MemoryCompute(self.machine)
        self.revoked, self.events = Revocations(), Events({self.told.append})
        self.accounts = Accounts(self.store, self.people, self.people, self.people, self.revoked.passes)
        self.grants = Grants(self.store, vault, "alpha", GrantLives(), self.clock)
        shelf = NarrowedCatalogue(self.shelf, self.policy.fields) if self.policy.fields else self.shelf
        self.restores = Restores(
            self.store,
            self.accounts,
            self.shelf,
            self.people,
            self.events.publish,
            self.clock,
            every=10.0,
            per_account=3,
        )
        catalogue = Catalogue(shelf, self.people, seen=self.restores.seen, mounts=[self.processed()])
        offers = Offers({name: offered(name) for name in ENVIRONMENTS}, FLAVOURS)
        self.workspaces = Workspaces(
            self.store, vault, self.accounts, catalogue, self.compute, offers, 2, self.clock, self._changed
        )
        self.doorkeeper = CoreDoorkeeper(
            self.store, self.accounts, self.grants, self.workspaces, self.revoked, self.clock
        )
        self.orders = Orders(
            self.store, self.grants, means(self.accounts, self.workspaces, self.restores), LinkCodec(), self.clock,
            pause=0.02,
        )  # fmt: skip
        records = SqliteFeed(self.folder / "feed.sqlite3", self.clock)
        self.feed = Feed(shelf, records, OpenRecordCodec(), self.clock, 30.0)
        self.core = AgentCore(
            "alpha", self.grants, self.accounts, catalogue, self.feed, self.workspaces, self.describe, self.events
        )

    def processed(self) -> MountRule:
        """Where results of proposals go, below `processed`, for those that have a folder there."""
        rule = Rule(self.folder / "processed", parse("{proposal}"), {})
        return MountRule("processed", False, True, SitePlaces([rule]))

    def describe(self) -> FacilityDescription:
        shown = tuple(offered(name).environment for name in ENVIRONMENTS)
        return FacilityDescription(
            "alpha",
            "Alpha",
            "",
            "",
            "",
            "",
            "",
            "",
            "0.1.0",
            environments=shown,
            flavours=tuple(FLAVOURS.values()),
        )

    def _changed(self, row: WorkspaceRow) -> None:
        self.events.publish(report(row, self.now))
        self.revoked.publish_workspace(row.workspace_id)

    async def narrow(self, tables: dict[str, Any]) -> None:
        """From now on the site has this policy."""
        self.policy = narrowed(tables)
        await self.reopen()

    async def reopen(self) -> None:
        """The agent after a kill -9: what ran goes on, everything else is what the store holds."""
        self.store.close()
        self.open()
        await self.store.probe()
        await self.workspaces.recover()
        await self.restores.recover()

    # --- the gateway's and the centre's half

    async def link(self, subject: Subject = ADA, username: str = "ada") -> None:
        await self.accounts.link(subject, await self.accounts.identity(username))

    async def code(
        self, subject: Subject = ADA, sid: str = "sid-1", scopes: frozenset[Scope] = BOTH
    ) -> tuple[Redeem, Any]:
        """A code as it comes to the centre: what redeems it, and what then makes the secret."""
        verifier, mine = proof.token(), X25519PrivateKey.generate()
        public = proof.public_half(mine)
        issued = await self.grants.issue(subject, sid, scopes, proof.challenge(verifier), public)
        secret = proof.grant_secret(mine, issued.key, issued.code, public, issued.key)
        return Redeem(proof.hashed(issued.code), verifier), secret

    async def held(self, subject: Subject = ADA, sid: str = "sid-1", scopes: frozenset[Scope] = BOTH) -> Held:
        """A grant, redeemed."""
        redeem, secret = await self.code(subject, sid, scopes)
        return Held(subject, await self.grants.redeem(redeem), secret)

    async def ada(self, scopes: frozenset[Scope] = BOTH) -> Held:
        """Ada, linked, with a grant."""
        await self.link()
        return await self.held(scopes=scopes)

    async def ben(self) -> Held:
        """Ben, linked, with a grant."""
        await self.link(BEN, "ben")
        return await self.held(BEN, "sid-2")

    def body(
        self, verb: Verb, parameters: Any, command_id: str = "", ahead: float = 60.0, facility: str = "alpha"
    ) -> bytes:
        """A command's bytes that expire `ahead` seconds from now."""
        expires = int((self.now + ahead) * 1000)
        return encode_body(facility, command_id or str(uuid.uuid4()), verb, parameters, expires)

    async def send(self, body: bytes, grant_id: str = "", mac: bytes = b"") -> Answer:
        """A query or an order, whichever it is."""
        verb = verb_of(body)
        if verb not in ORDERS:
            return await self.core.handle(body, grant_id, mac, decode_body)
        order_id = pb.Body.FromString(body).command_id
        result = await self.orders.take(AskedOrder(order_id, body, grant_id, mac), lambda: None)
        assert result is not None
        return decode_order_result(verb, pb.OrderResult.FromString(result))

    async def unlink(self, subject: Subject = ADA) -> None:
        """The effect of the order, without one."""
        link = await self.store.transact(lambda tx: tx.link_of(subject))
        if link is not None:
            effect = self.accounts.unlinking(link)
            await self.store.transact(effect.write)
            effect.after()

    def seen_by(self, compute: Any) -> Any:
        """From now on the agent asks this one."""
        for part in (self.workspaces, self.workspaces._watcher, self.workspaces._runs):
            part._compute = compute  # type: ignore[attr-defined]
        return compute

    async def signed(self, held: Held, body: bytes) -> Answer:
        """A body under a grant."""
        return await self.send(body, held.grant_id, proof.mac(held.secret, body))

    async def ask(self, held: Held, verb: Verb, parameters: Any, **how: Any) -> Answer:
        return await self.signed(held, self.body(verb, parameters, **how))

    async def search(self, held: Held, **how: Any) -> Answer:
        return await self.ask(held, Verb.SEARCH, SearchQuery(), **how)

    # --- workspaces

    async def launch(self, held: Held, workspace_id: str = "", **changes: Any) -> tuple[str, Answer]:
        workspace_id = workspace_id or str(uuid.uuid4())
        return workspace_id, await self.ask(held, Verb.LAUNCH, launch_request(**changes), command_id=workspace_id)

    async def running(self, held: Held, **changes: Any) -> str:
        """A workspace that runs; its id."""
        workspace_id, answer = await self.launch(held, **changes)
        assert answer.problem is None, answer.problem
        await self.until(workspace_id, WorkspaceState.RUNNING)
        return workspace_id

    async def until(self, workspace_id: str, state: WorkspaceState) -> None:
        """Look until the row has this state."""

        async def reached() -> bool:
            await self.workspaces.look()
            return (await self.row(workspace_id)).state is state

        await eventually(reached, f"the workspace is {state}", 5)

    async def row(self, workspace_id: str) -> WorkspaceRow:
        row = await self.workspaces.known(workspace_id)
        assert row is not None
        return row

    def reports(self, workspace_id: str) -> list[WorkspaceReport]:
        return [e for e in self.told if isinstance(e, WorkspaceReport) and e.workspace_id == workspace_id]

    def rows(self) -> dict[str, list[Any]]:
        """Every row of the store: what an attack must not change. Times of use of ids are not effects."""
        with sqlite3.connect(self.folder / "agent.sqlite3") as db:
            tables = [r[0] for r in db.execute("select name from sqlite_master where type='table'")]
            kept = {t: sorted(map(repr, db.execute(f"select * from {t}"))) for t in tables if t != "meta"}
        return json.loads(json.dumps(kept))  # type: ignore[no-any-return]


@asynccontextmanager
async def open_facility(folder: Path) -> AsyncIterator[FacilityScene]:
    with tempfile.TemporaryDirectory(prefix="pa-", dir="/tmp") as short:
        machine = Machine(Path(short), broken={"broken"})
        scene = FacilityScene(folder, machine)
        await scene.store.probe()
        try:
            yield scene
        finally:
            machine.close()
            scene.store.close()
