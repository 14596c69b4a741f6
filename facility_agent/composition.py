"""Configuration → objects: the only place of the facility that knows which parts there are."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from facility_agent.building import adapters
from facility_agent.config import Config, ConfigError, Located
from facility_agent.core.accounts import Accounts
from facility_agent.core.commands import AgentCore, Events
from facility_agent.core.doorkeeper import CoreDoorkeeper, Revocations
from facility_agent.core.feed import Feed
from facility_agent.core.grants import GrantLives, Grants
from facility_agent.core.means import means
from facility_agent.core.offers import Offer, Offers
from facility_agent.core.orders import Orders
from facility_agent.core.reports import report
from facility_agent.core.restores import Restores
from facility_agent.core.sign_on_tokens import HeldTokens, TokenKeeper
from facility_agent.core.workspaces import Workspaces
from facility_agent.crash import VARIABLE, crashes
from facility_agent.description import Description, environments, flavours
from facility_agent.link.certificates import Certificates
from facility_agent.link.client import AgentLink
from facility_agent.link.codec import LinkCodec, OpenRecordCodec
from facility_agent.link.settings import LinkSettings
from facility_agent.metrics import CONTENT_TYPE, AgentMetrics
from facility_agent.placing import Placing
from facility_agent.ports.access_rules import AccessRules
from facility_agent.ports.catalogue import RestorableCatalogue
from facility_agent.ports.moments import At
from facility_agent.ports.store import WorkspaceRow
from facility_agent.ports.tokens import PersonalCatalogue
from facility_agent.recording import Recording
from facility_agent.socket.pages import MetricsSite, Page
from facility_agent.socket.server import SocketServer
from facility_agent.status import Standing, as_json
from facility_agent.store.feed import SqliteFeed
from facility_agent.store.sqlite import SqliteStore
from facility_agent.store.vault import KeyFileVault
from shared.errors import BackendUnavailable, ParasolError
from shared.link.terms import DEFAULT
from shared.wire.addresses import parse_address

log = logging.getLogger(__name__)
DESCRIBE_EVERY = 30.0
MEND_EVERY = 2.0
PROBE_WITHIN = 5.0
"""So long the first Hello waits for what really runs here."""


def certificates(located: Located) -> Certificates | None:
    """The enrolled identity; None when the link is set up by hand."""
    if located.config.centre.hub:
        return None
    state, facility = located.path(located.config.agent.state), located.config.facility.id
    return Certificates(state, facility, located.agent_key())


class Agent:
    """A wired agent. `run` it until cancelled; what it started keeps running."""

    def __init__(self, located: Located) -> None:
        if os.getuid() == 0:
            raise ConfigError("The agent does not run as root; start it as an ordinary user.")
        self._located, config = located, located.config
        (state := located.path(config.agent.state)).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._made, self._metrics, at = adapters(located), AgentMetrics(), _at()
        self._store = SqliteStore(state / "agent.sqlite3", self._metrics.committed)
        vault, clock = KeyFileVault(state / "vault.key"), time.time
        placing = Placing(config, self._store, self._made.isolation == "account", clock)
        self._recording = Recording(located, self._store, vault, clock)
        self._revoked, self._events = Revocations(), Events()
        shelf, rules = self._recording.narrowed(self._made.catalogue), self._made.rules(config.access["adapter"])
        self.describe = Description(config, shelf, self._made.compute)
        accounts = Accounts(self._store, self._made.accounts, self._made.accounts, rules, self._revoked.passes)
        grants = Grants(self._store, vault, config.facility.id, _lives(config), clock)
        self._restores = self._restoring(accounts, rules)
        catalogue = placing.catalogue(shelf, rules, self._restores.seen)
        self.workspaces = Workspaces(
            self._store, vault, accounts, catalogue, self._made.compute, self._offers(config),
            config.limits.workspaces_per_account, clock, self._changed, at, placing.caveats(catalogue),
        )  # fmt: skip
        self.orders = Orders(
            self._store, grants, means(accounts, self.workspaces, self._restores), LinkCodec(), clock, self._metrics, at,
            pause=config.link.heartbeat_s / 4,
        )  # fmt: skip
        self._records = SqliteFeed(state / "feed.sqlite3", clock)
        self._feed = Feed(shelf, self._records, OpenRecordCodec(), clock, config.agent.feed_s)
        self._core = AgentCore(
            config.facility.id, grants, accounts, catalogue, self._feed, self.workspaces, self.describe, self._events,
        )  # fmt: skip
        doorkeeper = CoreDoorkeeper(
            self._store, accounts, grants, self.workspaces, self._revoked, clock, self._recording.recorder,
            placing.page(accounts, catalogue), self._keeping(accounts, vault),
        )  # fmt: skip
        self._standing = Standing(
            config.facility.id, version("parasol-portal"), self._store, self.orders, self.workspaces, self._feed, clock,
        )  # fmt: skip
        self._shown, self._certificates = Page(CONTENT_TYPE, self._show_metrics), certificates(located)
        self._socket = self._serving(doorkeeper, state)

    def _restoring(self, accounts: Accounts, rules: AccessRules) -> Restores:
        archive = self._made.catalogue if isinstance(self._made.catalogue, RestorableCatalogue) else None
        most = self._located.config.archive.restores_per_account
        return Restores(self._store, accounts, archive, rules, self._events.publish, time.time, per_account=most)

    def _keeping(self, accounts: Accounts, vault: KeyFileVault) -> TokenKeeper | None:
        catalogue = self._made.catalogue
        if not isinstance(catalogue, PersonalCatalogue):
            return None
        held = HeldTokens(self._store, vault, time.time)
        catalogue.use(held)
        return TokenKeeper(held, self._store, accounts, catalogue)

    def _serving(self, doorkeeper: CoreDoorkeeper, state: Path) -> SocketServer:
        pages = {"status": Page("application/json", self._show_status).answer, "metrics": self._shown.answer}
        path = self._located.path(self._located.config.agent.socket)
        return SocketServer(path, state / "socket.token", doorkeeper, pages, {"erase": self._recording.erase})

    async def _show_status(self) -> str:
        return as_json(await self._standing.status())

    async def _show_metrics(self) -> str:
        return self._metrics.shown(await self._standing.status())

    def _offers(self, config: Any) -> Offers:
        advertised = {e.id: e for e in environments(config, self._made.isolation)}
        offers = {
            e.id: Offer(advertised[e.id], e.command, tuple(e.variables.items()), tuple(e.headers.items()))
            for e in config.environments
        }
        return Offers(offers, {f.id: f for f in flavours(config)})

    def _link_settings(self, located: Located) -> LinkSettings:
        centre, link = located.config.centre, located.config.link
        terms = replace(
            DEFAULT, heartbeat_every=link.heartbeat_s, dead_after=link.dead_after_s, hello_deadline=link.hello_s
        )
        return LinkSettings(
            facility_id=located.config.facility.id, hub=centre.hub, audience=centre.audience,
            key_file=located.agent_key(), store_id=self._store.store_id,
            boot_counter=self._store.boot_counter, plaintext=centre.plaintext,
            ca_file=located.path(centre.ca_file) if centre.ca_file else None,
            software_version=version("parasol-portal"), first_pause=link.first_pause_s,
            longest_pause=link.longest_pause_s, refused_pause=link.refused_pause_s, stable_after=link.stable_after_s,
            terms=terms,
        )  # fmt: skip

    def _changed(self, row: WorkspaceRow) -> None:
        self._events.publish(report(row, time.time()))
        self._revoked.publish_workspace(row.workspace_id)

    async def run(self) -> None:
        """Serve until cancelled."""
        async with AsyncExitStack() as stack:
            stack.callback(self._store.close)
            stack.callback(self._recording.close)
            stack.push_async_callback(self._records.close)
            for adapter in (self._made.accounts, self._made.catalogue, self._made.compute, self._made.access):
                if hasattr(adapter, "__aenter__"):
                    await stack.enter_async_context(adapter)
            if self._certificates is not None:
                await asyncio.to_thread(self._certificates.prepare)
            await self.describe.refresh()
            await self._listen(stack)
            await self._store_ready()
            await self.workspaces.recover()
            await self._restores.recover()
            with suppress(ParasolError, TimeoutError):  # else the watcher goes on trying
                async with asyncio.timeout(PROBE_WITHIN):
                    await self.workspaces.probed()
            stack.push_async_callback(self.workspaces.leave)
            stack.push_async_callback(self.orders.stop)
            link = AgentLink(
                self._link_settings(self._located), self._core, ways=self._certificates, desk=self.orders,
                meters=self._metrics, leaving=self._recording.leaving,
            )  # fmt: skip
            self._standing.link = link.status
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(link.run())
                tasks.create_task(self.workspaces.watch())
                tasks.create_task(self.orders.watch())
                tasks.create_task(self._restores.watch())
                tasks.create_task(self._mend())
                tasks.create_task(self._describe_again())
                tasks.create_task(self._feed.watch())
                if self._certificates is not None:
                    keep = self._certificates.keep(link.renewed, lambda: link.connected)
                    tasks.create_task(keep)

    async def _listen(self, stack: AsyncExitStack) -> None:
        await self._socket.start()
        stack.push_async_callback(self._socket.stop)
        wish = self._located.config.agent.metrics_listen
        if wish:
            address = parse_address(wish)
            site = MetricsSite(address.host, address.port, self._shown)
            await site.start()
            stack.push_async_callback(site.stop)
        log.info("agent is up; its socket is open")

    async def _store_ready(self) -> None:
        """Without its store the agent does nothing, and says why when it is asked."""
        while True:
            try:
                return await self._store.probe()
            except BackendUnavailable:
                await asyncio.sleep(MEND_EVERY)

    async def _mend(self) -> None:
        while True:
            await asyncio.sleep(MEND_EVERY)
            if self._store.fault:
                with suppress(BackendUnavailable):
                    await self._store.probe()

    async def _describe_again(self) -> None:
        while True:
            before = self.describe()
            await asyncio.sleep(DESCRIBE_EVERY if self.describe.instruments else 2.0)
            await self.describe.refresh()
            if self.describe() != before:
                self._events.publish(self.describe())


def _lives(config: Config) -> GrantLives:
    return GrantLives(config.grants.read_lifetime_s, config.grants.run_lifetime_s)


def _at() -> At:
    try:
        return crashes(os.environ)
    except ValueError as error:
        raise ConfigError(f"{VARIABLE}: {error}") from None
