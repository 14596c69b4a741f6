"""Facilities of the link's benchmarks in one process: the real core, store and link, and a scheduler in memory.

`python -m tests.benchmarks.link_agents FOLDER PORT COUNT` says `up` once all are connected.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sys
import time
from pathlib import Path

from facility_agent.core.accounts import Accounts
from facility_agent.core.catalogue import Catalogue
from facility_agent.core.commands import AgentCore, Events
from facility_agent.core.grants import GrantLives, Grants
from facility_agent.core.means import means
from facility_agent.core.offers import Offers
from facility_agent.core.orders import Orders
from facility_agent.core.reports import report
from facility_agent.core.workspaces import Workspaces
from facility_agent.link.client import AgentLink
from facility_agent.link.codec import LinkCodec
from facility_agent.link.settings import LinkSettings
from facility_agent.ports.store import GrantRow, LinkRow
from facility_agent.store.sqlite import SqliteStore
from facility_agent.store.vault import KeyFileVault
from shared import resolver
from shared.facilities import FacilityDescription
from shared.identity import Subject
from tests.agent_parts import People, Scheduler, SchedulerCompute, Shelf

PEOPLE = 40
"""Persons with a grant at each facility: one may ask 20 times a second."""


def slug_of(number: int) -> str:
    """The slug of a facility."""
    return f"link-{number}"


def grant_of(facility: str, person: int) -> tuple[str, bytes]:
    """A person's grant there and its secret."""
    grant_id = f"{facility}-grant-{person}"
    return grant_id, hashlib.sha256(grant_id.encode()).digest()


class Facility:
    """One of them."""

    def __init__(self, slug: str, folder: Path, port: int) -> None:
        self.slug, clock = slug, time.time
        home = folder / slug
        home.mkdir(exist_ok=True)
        self._store, self._vault = SqliteStore(home / "agent.sqlite3"), KeyFileVault(home / "vault.key")
        people, events = People(), Events()
        accounts = Accounts(self._store, people, people, people, lambda _: None)
        grants = Grants(self._store, self._vault, slug, GrantLives(), clock)
        catalogue = Catalogue(Shelf(), people)
        self._workspaces = Workspaces(
            self._store, self._vault, accounts, catalogue, SchedulerCompute(Scheduler()), Offers({}, {}), 1000, clock,
            lambda row: events.publish(report(row, clock())),
        )  # fmt: skip
        self._orders = Orders(self._store, grants, means(accounts, self._workspaces), LinkCodec(), clock)
        describe = lambda: FacilityDescription(slug, slug, "", "", "", "", "", "", "0.1.0")  # noqa: E731
        core = AgentCore(slug, grants, accounts, catalogue, self._workspaces, describe, events)
        settings = LinkSettings(
            slug, f"localhost:{port}", "parasol-hub", folder / "agents.key", self._store.store_id,
            self._store.boot_counter, ca_file=folder / "hub.pem",
        )  # fmt: skip
        self.up = asyncio.Event()
        self._link = AgentLink(settings, core, desk=self._orders)
        self._link.on_change = lambda connected: self.up.set() if connected else None

    async def run(self) -> None:
        """Serve until cancelled."""
        await self._store.probe()
        for person in range(PEOPLE):
            await self._admit(person)
        await self._workspaces.recover()
        async with asyncio.TaskGroup() as tasks:
            for work in (self._link.run(), self._orders.watch(), self._workspaces.watch()):
                tasks.create_task(work)

    async def _admit(self, person: int) -> None:
        subject, now = Subject("https://op", f"p{person}"), time.time()
        grant_id, secret = grant_of(self.slug, person)
        box = self._vault.seal(f"grant {grant_id}", secret)
        link = LinkRow(subject, f"p{person}", f"id-p{person}", 1, active=True)
        grant = GrantRow(grant_id, subject, "sid", f"id-p{person}", 1, "read run", box, now, now + 43_200)
        await self._store.transact(lambda tx: (tx.put_link(link), tx.put_grant(grant)))


async def _all(folder: Path, port: int, count: int) -> None:
    facilities = [Facility(slug_of(number), folder, port) for number in range(count)]
    async with asyncio.TaskGroup() as tasks:
        for facility in facilities:
            tasks.create_task(facility.run())
        await asyncio.gather(*(facility.up.wait() for facility in facilities))
        print("up", flush=True)


def main() -> None:
    """Entry point."""
    import uvloop

    resolver.install()
    logging.disable()
    uvloop.run(_all(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))


if __name__ == "__main__":
    main()
