"""Facilities with a hundred thousand datasets each, as their agents: `python -m tests.benchmarks.data.world FOLDER COUNT HUB`.

Their catalogue is the adapter `nexus_folder` over an index that was filled with rows instead of files, its questions asked
through the agent's real core and link; the folder is not looked at.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import uvloop

from facility_agent.adapters.catalogue.nexus_folder import NexusFolder, NexusFolderSettings
from facility_agent.adapters.catalogue.nexus_index import Index, _store, pid_of
from facility_agent.core.accounts import Accounts
from facility_agent.core.catalogue import Catalogue
from facility_agent.core.commands import AgentCore, Events
from facility_agent.core.grants import GrantLives, Grants
from facility_agent.link.client import AgentLink, LinkSettings
from facility_agent.plugins import Site
from facility_agent.store.sqlite import SqliteStore
from facility_agent.store.vault import KeyFileVault
from facility_agent.testing.memory_accounts import MemoryAccounts
from shared.catalogue import Changes
from shared.errors import BackendUnavailable
from shared.facilities import FacilityDescription
from shared.workspaces import WorkspaceInventory
from tests.benchmarks.federation import slug_of

DATASETS = 100_000
PROPOSALS = frozenset(f"P{n}" for n in range(50))
SAMPLES = (
    "silicon",
    "quartz",
    "lysozyme",
    "water",
    "iron oxide",
    "graphene",
    "insulin",
    "polymer",
    "alloy",
    "perovskite",
)


def index_of(folder: Path, slug: str) -> Index:
    """The index of a facility, made when it is not there."""
    state = folder / slug
    state.mkdir(exist_ok=True)
    index = Index(state / "index.sqlite3", folder, slug)
    with closing(sqlite3.connect(state / "index.sqlite3", isolation_level=None)) as db:
        if db.execute("select count(*) from file").fetchone()[0] == 0:
            rows = list(_rows(slug))
            for begin in range(0, len(rows), 20_000):
                _store(db, rows[begin : begin + 20_000])
    return index


def _rows(slug: str) -> Iterator[tuple[object, ...]]:
    """Rows as a look at files makes them; one in ten is of each sample."""
    for n in range(DATASETS):
        path, started = f"P{n % 50}/scan{n:06d}.nxs", 1.6e9 + 600.0 * n
        yield (
            path, pid_of(slug, path), n, 10**6, n, f"Scan {n} of {SAMPLES[n % 10]}", f"P{n % 50}", f"I{n % 12}",
            SAMPLES[n % 10], "NXsas", started, started + 60, -started, None,
        )  # fmt: skip


class _NoWorkspaces:
    def inventory(self) -> WorkspaceInventory:
        return WorkspaceInventory()


class _NoFeed:
    """No mirror of this facility is kept, so that strangers are answered live."""

    async def changes(self, since: str) -> Changes:
        raise BackendUnavailable


def _agent(folder: Path, slug: str, hub: str) -> AgentLink:
    state, clock, people = folder / slug, time.time, MemoryAccounts()
    index_of(folder, slug)
    settings = NexusFolderSettings(folder=folder, open_proposals=tuple(PROPOSALS))
    backend = NexusFolder(settings, folder, Site(slug, state, folder))
    backend._complete, backend._note = True, ""  # as after its first look, which is not taken
    store, vault = SqliteStore(state / "agent.sqlite3"), KeyFileVault(state / "vault.key")
    grants = Grants(store, vault, slug, GrantLives(), clock)
    accounts = Accounts(store, people, people, people, lambda _: None)
    parts: tuple[Any, Any] = _NoFeed(), _NoWorkspaces()
    core = AgentCore(slug, grants, accounts, Catalogue(backend, people), *parts, lambda: _said(slug), Events())
    key = folder / f"{slug.rsplit('-', 1)[1].lstrip('0') or '0'}.key"
    return AgentLink(LinkSettings(slug, hub, "parasol-hub", key, slug, 1, plaintext=True), core)


def _said(slug: str) -> FacilityDescription:
    return FacilityDescription(slug, slug, "", "", "", "", "", "", "1.0")


async def main(folder: Path, count: int, hub: int) -> None:
    """Be them all."""
    logging.basicConfig(level=logging.INFO)
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(_agent(folder, slug_of(number), f"127.0.0.1:{hub}").run())


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
