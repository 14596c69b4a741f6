"""The centre as its own process, and a facility with the real core on a real link."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from facility_agent.core.accounts import Accounts
from facility_agent.core.catalogue import Catalogue
from facility_agent.core.commands import AgentCore, Events
from facility_agent.core.feed import Feed
from facility_agent.core.grants import GrantLives, Grants
from facility_agent.link.client import AgentLink, LinkSettings
from facility_agent.link.codec import OpenRecordCodec
from facility_agent.link.keys import load_or_create_key, public_text
from facility_agent.ports.access_rules import AccessRules
from facility_agent.ports.catalogue import CatalogueBackend, Location, Reader
from facility_agent.ports.directory import Account, Directory
from facility_agent.ports.store import LinkRow
from facility_agent.store.feed import SqliteFeed
from facility_agent.store.sqlite import SqliteStore
from facility_agent.store.vault import KeyFileVault
from shared.catalogue import DataFile, Dataset, FilePage, ProposalPage, ProposalQuery, SearchPage, SearchQuery
from shared.commands import GetFiles
from shared.errors import NotFound
from shared.facilities import FacilityDescription
from shared.identity import Scope, Subject
from shared.workspaces import WorkspaceInventory
from tests.integration.openid import Op
from tests.integration.tab import Tab
from tests.waiting import alive, free_port, http_status, until

BIN = Path(sys.executable).parent
PRIVATE = Dataset("p-1", "Private", "P1", "I1", "", "", None, None, 1, 1, is_open=False)
OPEN = Dataset("o-1", "Open", "P0", "I1", "", "", None, None, 1, 1, is_open=True)


class Shelf(CatalogueBackend):
    """Two datasets: an open one, and one of proposal P1."""

    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        return SearchPage((OPEN, PRIVATE) if "P1" in reader.proposals else (OPEN,))

    async def get(self, pid: str, reader: Reader) -> Dataset:
        raise NotFound

    async def proposals(self, query: ProposalQuery, reader: Reader) -> ProposalPage:
        return ProposalPage()

    async def files(self, wanted: GetFiles, reader: Reader) -> FilePage:
        if wanted.pid != OPEN.pid:
            raise NotFound
        return FilePage((DataFile("one.nxs", 1),), total=1)

    async def locate(self, proposal: str) -> Location:
        raise NotFound

    async def instruments(self) -> tuple[str, ...]:
        return ("I1",)

    async def open_proposals(self) -> Set[str]:
        return {"P0"}


class OneAccount(Directory, AccessRules):
    """The account `ada_local`, a member of P1."""

    async def account(self, username: str) -> Account:
        return Account(username, "7", 1007, 1007, (), Path("/home/ada"))

    async def may_use(self, account: Account) -> bool:
        return True

    async def proposals(self, account: Account) -> Set[str]:
        return {"P1"}


class FacilityCore(AgentCore):
    """The real core, without anything that starts workspaces."""

    def inventory(self) -> WorkspaceInventory:
        return WorkspaceInventory(())


class Facility:
    """A facility's agent in a thread of its own. The test is its gateway: it issues codes by the core itself."""

    def __init__(
        self, folder: Path, hub: str, catalogue: CatalogueBackend | None = None, people: Any = None
    ) -> None:  # fmt: skip
        catalogue, people = catalogue or Shelf(), people or OneAccount()
        self.gateway, self.hub = "http://alpha.localhost:9", hub
        self.key = load_or_create_key(folder / "agent.key")
        self.store = SqliteStore(folder / "agent.sqlite3")
        self.grants = Grants(self.store, KeyFileVault(folder / "vault.key"), "alpha", GrantLives(), time.time)
        accounts = Accounts(self.store, people, people, people, lambda _: None)
        describe = lambda: FacilityDescription("alpha", "Alpha", "", "", "", "", "", "", "0.1.0")  # noqa: E731
        feed = Feed(catalogue, SqliteFeed(folder / "feed.sqlite3", time.time), OpenRecordCodec(), time.time, 30.0)
        core = FacilityCore(
            "alpha", self.grants, accounts, Catalogue(catalogue, people), feed, None, describe, Events()  # type: ignore[arg-type]
        )  # fmt: skip
        self.subject = Subject("http://op-of-the-gateway", "pairwise-ada")
        self._settings = LinkSettings(
            "alpha", hub, "parasol-hub", folder / "agent.key", "store", 1, plaintext=True, first_pause=0.02
        )
        self._core = core
        self._link, self._up = AgentLink(self._settings, core), threading.Event()
        self._link.on_change = lambda connected: (self._up.set if connected else self._up.clear)()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._running: Any = None
        self.call(feed.look())

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The result of a coroutine, run in the facility's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def connect(self) -> None:
        """Dial the hub, and wait for its Welcome."""
        self._running = asyncio.run_coroutine_threadsafe(self._link.run(), self._loop)
        assert self._up.wait(10), "the agent is connected"

    def clone(self, hub: str) -> Clone:
        """Another process with this one's key and store."""
        return Clone(AgentLink(replace(self._settings, hub=hub), self._core), self._loop)

    def disconnect(self) -> None:
        if self._running:
            self._running.cancel()
            until(lambda: self._running.done() and not self._up.is_set(), "the agent has hung up")

    def linked(self, username: str = "ada_local", immutable_id: str = "7") -> None:
        """The person has linked their account."""
        row = LinkRow(self.subject, username, immutable_id, 1, active=True)
        self.call(self.store.transact(lambda tx: tx.put_link(row)))

    def consent(self, authorize_url: str, **changes: str) -> str:
        """What the gateway answers to an authorization request: the path and query of the portal's callback."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(authorize_url).query).items()}
        scopes = frozenset(Scope(word) for word in asked["scope"].split())
        issued = self.call(
            self.grants.issue(self.subject, "gateway-sid", scopes, asked["code_challenge"], asked["key"])
        )
        back = {"code": issued.code, "key": issued.key, "state": asked["state"], "iss": self.gateway} | changes
        return f"{urlsplit(asked['redirect_uri']).path}?{urlencode({k: v for k, v in back.items() if v})}"

    def living_grants(self) -> int:
        return len(self.call(self.store.transact(lambda tx: tx.grants_of(self.subject, "gateway-sid"))))

    def close(self) -> None:
        self.disconnect()
        self.call(_end_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
        self.store.close()


async def _end_all() -> None:
    """Every other task of this loop ends before the loop does."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class Clone:
    """A copy of an agent, in the same loop."""

    def __init__(self, link: AgentLink, loop: asyncio.AbstractEventLoop) -> None:
        self._link, self._loop = link, loop
        self._running: Any = None

    def dial(self) -> None:
        self._running = asyncio.run_coroutine_threadsafe(self._link.run(), self._loop)

    def hang_up(self) -> None:
        self._running.cancel()
        until(self._running.done, "the clone has hung up")


@dataclass
class Centre:
    """A running centre."""

    port: int
    folder: Path
    log: Path
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End it as the service manager would."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(15) == 0, self.log.read_text()

    def tab(self) -> Tab:
        return Tab(self.port)

    def count(self, table: str) -> int:
        """Rows of a table of identity's."""
        with sqlite3.connect(self.folder / "data" / "centre.sqlite3") as db:
            return int(db.execute(f"select count(*) from identity_{table}").fetchone()[0])

    def state(self) -> dict[str, int]:
        """How many sessions, persons and grants there are: what an attack must not change."""
        return {table: self.count(table) for table in ("portalsession", "person", "sealedgrant")}


def kept_variables() -> dict[str, str]:
    """What a process needs to run the same Python as the test."""
    return {name: os.environ[name] for name in ("PYTHONPATH", "PYTHONPYCACHEPREFIX") if name in os.environ}


def write_federation(folder: Path, op: Op, facility: Facility) -> Path:
    """A federation of one provider and one facility."""
    (folder / "op.secret").write_text(op.client_secret)
    file = folder / "federation.toml"
    file.write_text(
        f'[[providers]]\nid = "op"\ntitle = "OP"\nissuer = "{op.issuer}"\nclient_id = "{op.client_id}"\n'
        f'client_secret_file = "op.secret"\n[[facilities]]\nid = "alpha"\nname = "Alpha"\n'
        f'public_key = "{public_text(facility.key)}"\ngateway = "{facility.gateway}"\nworkspace_zone = "w.localhost:9"\n'
    )
    return file


@contextmanager
def running_centre(
    folder: Path, op: Op, catalogue: CatalogueBackend | None = None, people: Any = None
) -> Iterator[tuple[Centre, Facility]]:  # fmt: skip
    """A centre with one provider and one facility, whose agent has not dialled yet."""
    port, hub = free_port(), free_port()
    facility = Facility(folder, f"127.0.0.1:{hub}", catalogue, people)
    write_federation(folder, op, facility)
    variables = {
        "PATH": os.environ["PATH"], "PARASOL_ORIGIN": f"http://portal.localhost:{port}",
        "PARASOL_LISTEN": f"127.0.0.1:{port}", "PARASOL_HUB_LISTEN": f"127.0.0.1:{hub}", "PARASOL_HUB_PLAINTEXT": "1",
        "PARASOL_DATA": str(folder / "data"), "PARASOL_FEDERATION": str(folder / "federation.toml"),
        **kept_variables(),
    }  # fmt: skip
    with (folder / "centre.log").open("wb") as log:
        process = subprocess.Popen([BIN / "central-portal", "serve"], env=variables, stdout=log, stderr=log)
    centre = Centre(port, folder, folder / "centre.log", process)
    try:
        until(
            lambda: http_status(port, "/healthz", f"portal.localhost:{port}") == 200 or not alive(process),
            "the centre's health",
        )
        assert alive(process), centre.log.read_text()
        yield centre, facility
    finally:
        facility.close()
        try:
            centre.stop()
        finally:
            if alive(process):
                process.kill()
