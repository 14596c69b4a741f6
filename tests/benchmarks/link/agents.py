"""Facilities as their agents: the real core over its own SQLite store, workspaces in memory, all in one process.

`python -m tests.benchmarks.link.agents FOLDER HUB FACILITY…`
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import uvloop

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
from facility_agent.link.client import AgentLink, LinkSettings
from facility_agent.link.codec import LinkCodec, OpenRecordCodec
from facility_agent.ports.store import GrantRow, LinkRow, Transaction, WorkspaceRow
from facility_agent.store.feed import SqliteFeed
from facility_agent.store.sqlite import SqliteStore
from facility_agent.store.vault import KeyFileVault
from facility_agent.testing.accounts_world import Person
from facility_agent.testing.memory_accounts import MemoryAccounts
from facility_agent.testing.memory_catalogue import MemoryCatalogue
from facility_agent.testing.memory_compute import Machine, MemoryCompute
from shared.facilities import CarriedBy, Environment, FacilityDescription, Flavour, UsedAs
from shared.identity import Subject
from tests.benchmarks.link.helper import obey
from tests.benchmarks.person import SECRET, grant_of

PEOPLE = 12
FLAVOUR = Flavour("small", "Small", 1, 2**30, 0, 2**30, 8 * 3600)
ENVIRONMENT = Environment(
    "jupyter", "Notebook", "", UsedAs.NOTEBOOK, CarriedBy.PROCESS, (), ("small",), "small", "none"
)


class Site:
    """One facility: everything of its agent but adapters, gateway and configuration is what a real one has."""

    def __init__(self, folder: Path, slug: str, hub: str) -> None:
        self._folder, self._slug, self._hub = folder / slug, slug, hub
        self._folder.mkdir(exist_ok=True)
        self._store, self._vault = (
            SqliteStore(self._folder / "agent.sqlite3"),
            KeyFileVault(self._folder / "vault.key"),
        )
        people, self._events, clock = MemoryAccounts(), Events(), time.time
        for n in range(PEOPLE):
            people.put(Person(f"person{n}", f"id-{n}", 4001 + n, 4001, password="", proposals=("P-1",)))
        accounts = Accounts(self._store, people, people, people, lambda _: None)
        grants = Grants(self._store, self._vault, slug, GrantLives(), clock)
        catalogue = Catalogue(MemoryCatalogue(set(), {"P-1": self._folder}), people)
        offers = Offers({"jupyter": Offer(ENVIRONMENT, ("true",))}, {"small": FLAVOUR})
        self.workspaces = Workspaces(
            self._store, self._vault, accounts, catalogue, MemoryCompute(Machine(self._folder)), offers, 1000, clock,
            self._changed,
        )  # fmt: skip
        self.orders = Orders(self._store, grants, means(accounts, self.workspaces), LinkCodec(), clock)
        records = SqliteFeed(self._folder / "feed.sqlite3", clock)
        feed = Feed(MemoryCatalogue(set()), records, OpenRecordCodec(), clock, 30.0)
        self._core = AgentCore(
            slug, grants, accounts, catalogue, feed, self.workspaces, self._describe, self._events
        )
        self.up = asyncio.Event()

    def _describe(self) -> FacilityDescription:
        return FacilityDescription(
            self._slug, self._slug, "", "", "", "", "", "", "1.0", environments=(ENVIRONMENT,), flavours=(FLAVOUR,)
        )

    def _changed(self, row: WorkspaceRow) -> None:
        self._events.publish(report(row, time.time()))

    def _admit(self, tx: Transaction) -> None:
        now = time.time()
        for n in range(PEOPLE):
            who, name = Subject("https://op", f"person{n}"), grant_of(self._slug, n)
            tx.put_link(LinkRow(who, who.sub, f"id-{n}", 1, active=True))
            box = self._vault.seal(f"grant {name}", SECRET)
            tx.put_grant(GrantRow(name, who, "sid", f"id-{n}", 1, "read run", box, now, now + 3600))

    async def run(self) -> None:
        """Until cancelled."""
        await self._store.probe()
        await self._store.transact(self._admit)
        await self.workspaces.recover()
        settings = LinkSettings(
            self._slug, self._hub, "parasol-hub", self._folder.parent / f"{self._slug}.key", self._store.store_id, 1,
            plaintext=True,
        )  # fmt: skip
        link = AgentLink(settings, self._core, desk=self.orders)
        link.on_change = lambda connected: self.up.set() if connected else self.up.clear()
        await asyncio.gather(link.run(), self.workspaces.watch(), self.orders.watch())


async def main(folder: Path, hub: str, slugs: list[str]) -> None:
    """Be them all."""
    sites = [Site(folder, slug, hub) for slug in slugs]
    async with asyncio.TaskGroup() as tasks:
        for site in sites:
            tasks.create_task(site.run())
        await asyncio.gather(*(site.up.wait() for site in sites))
        await obey({})


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
