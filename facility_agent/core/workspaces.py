"""Workspaces: admit, start, watch, stop. Each change is one stored row with a higher sequence, then an event."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Callable
from dataclasses import replace

from facility_agent.core.accounts import Accounts
from facility_agent.core.catalogue import Catalogue
from facility_agent.core.offers import Offers
from facility_agent.core.reports import entered, report, safe_names
from facility_agent.core.rows import Rows
from facility_agent.ports.compute import ComputeBackend, Endpoint, Mount, Observation, RunState, StartSpec
from facility_agent.ports.directory import Account
from facility_agent.ports.store import GrantRow, Store, Transaction, Vault, WorkspaceRow
from shared.errors import BackendError, Conflict, NotFound, ParasolError, QuotaExceeded
from shared.workspaces import (
    LaunchRequest,
    StepName,
    WorkspaceInventory,
    WorkspaceReport,
    WorkspaceState,
)

log = logging.getLogger(__name__)
QUICK, SLOW = 0.05, 2.0
START_WITHIN = 600.0
AT_ITS_END = ("LIFETIME", "It reached its end.")
NEVER_STARTED = Observation(RunState.GONE, "BACKEND_FAILED", "The facility lost it before it started.")


class Workspaces:
    """All workspaces of this facility. `clock` is this machine's POSIX time in seconds."""

    def __init__(
        self, store: Store, vault: Vault, accounts: Accounts, catalogue: Catalogue, compute: ComputeBackend,
        offers: Offers, per_account: int,
        clock: Callable[[], float], changed: Callable[[WorkspaceRow], None],
    ) -> None:  # fmt: skip
        self._store, self._vault, self._accounts, self._catalogue = store, vault, accounts, catalogue
        self._compute, self._offers, self._most = compute, offers, per_account
        self._clock, self._rows = clock, Rows(store, changed, clock)
        self._gone: dict[str, int] = {}
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._stopping: dict[str, asyncio.Task[None]] = {}
        self._wake, self._found = asyncio.Event(), True

    # --- orders

    async def known(self, workspace_id: str) -> WorkspaceRow | None:
        """The row of an id, whatever its state."""
        return await self._rows.stored(workspace_id)

    async def launch(
        self, workspace_id: str, request: LaunchRequest, grant: GrantRow, order: str
    ) -> WorkspaceReport:
        """Admit and begin to start. A refusal stores nothing and starts nothing.

        Raises NotFound, FlavourTooLarge, QuotaExceeded, ProposalDenied, AccountNotLinked, IdentityRefused, Conflict.
        """
        offer, flavour = self._offers.choose(request)
        account = await self._accounts.account_of(grant)
        locations = await self._catalogue.locate(request.proposals, account)
        names = safe_names([item.proposal for item in locations])
        mounts = tuple(Mount(name, item.folder) for name, item in zip(names, locations, strict=True))
        now, secret = self._clock(), secrets.token_urlsafe(32)
        steps = json.dumps([[StepName.ASK, now, ""], [StepName.ACCOUNT, now, ""], [StepName.DATA, now, ""]])
        row = WorkspaceRow(
            workspace_id, grant.subject, account.immutable_id, order, offer.environment.id, flavour.id,
            request.proposals, request.title, request.lifetime_s, WorkspaceState.STARTING, 1, steps, "",
            self._vault.seal(f"workspace {workspace_id}", secret.encode()), "", "", now, None, None,
        )  # fmt: skip

        def admit(tx: Transaction) -> WorkspaceRow:
            before = tx.workspace(workspace_id)
            if before is not None:
                if before.order_hash != order:
                    raise Conflict
                return before
            link = tx.link_of(grant.subject)
            if link is None or not link.active or link.generation != grant.generation:
                raise Conflict("The account link changed meanwhile; ask again.")
            if tx.living_of(account.immutable_id) >= self._most:
                raise QuotaExceeded(
                    f"You have {self._most} workspaces here already, as many as the facility allows; stop one first.",
                    metadata={"limit": str(self._most)},
                )
            tx.put_workspace(row)
            return row

        stored = await self._store.transact(admit)
        if stored is row:
            self._rows.admitted(row)
            self._begin(row, self._spec(row, mounts, secret), account)
        return report(stored, self._clock())

    def _spec(self, row: WorkspaceRow, mounts: tuple[Mount, ...], secret: str) -> StartSpec:
        offer = self._offers.environments[row.environment]
        return StartSpec(
            row.workspace_id, row.environment, offer.command, self._offers.flavours[row.flavour], mounts, row.lifetime_s,
            secret, offer.variables, offer.headers,
        )  # fmt: skip

    def _begin(self, row: WorkspaceRow, spec: StartSpec, account: Account) -> None:
        task = asyncio.create_task(self._start(row.workspace_id, spec, account))
        self._starting[row.workspace_id] = task
        task.add_done_callback(lambda _: self._starting.pop(row.workspace_id, None))

    async def _start(self, workspace_id: str, spec: StartSpec, account: Account) -> None:
        try:
            await self._rows.step(workspace_id, StepName.QUEUE)
            handle = await self._compute.start(spec, account)
        except ParasolError as error:
            await self._rows.end(workspace_id, WorkspaceState.FAILED, error.reason, error.message)
        except Exception:
            log.exception("workspace %s could not be started", workspace_id)
            await self._rows.end(
                workspace_id, WorkspaceState.FAILED, BackendError.reason, "The facility could not start it."
            )
        else:
            await self._rows.change(
                workspace_id, lambda row: replace(entered(row, StepName.START, self._clock()), handle=handle)
            )
            self._wake.set()

    async def stop(self, workspace_id: str, grant: GrantRow) -> WorkspaceReport:
        """Stop one's own workspace; what has ended already stays as it is. Raises NotFound, AccountNotLinked."""
        account = await self._accounts.account_of(grant)
        row = await self.known(workspace_id)
        if row is None or row.subject != grant.subject or row.immutable_id != account.immutable_id:
            raise NotFound("You have no such workspace here.")
        if row.state.is_final:
            return report(row, self._clock())
        changed = await self._rows.change(workspace_id, lambda old: replace(old, state=WorkspaceState.STOPPING))
        self._begin_stop(workspace_id, "", "")
        return report(changed or row, self._clock())

    def _begin_stop(
        self, workspace_id: str, reason: str, message: str, state: WorkspaceState = WorkspaceState.ENDED
    ) -> None:
        """Stop it beside everything else: one that takes its time holds up no look at the others."""
        if workspace_id not in self._stopping:
            task = asyncio.create_task(self._stop(workspace_id, reason, message, state))
            self._stopping[workspace_id] = task
            task.add_done_callback(lambda _: self._stopping.pop(workspace_id, None))

    async def _stop(
        self, workspace_id: str, reason: str, message: str, state: WorkspaceState = WorkspaceState.ENDED
    ) -> None:
        starting = self._starting.get(workspace_id)
        if starting is not None:
            await asyncio.wait([starting])
        row = await self.known(workspace_id)
        if row is None or row.state.is_final:
            return
        try:
            handles = (
                [row.handle]
                if row.handle
                else [h for w, h in (await self._compute.list_owned()).items() if w == workspace_id]
            )
            for handle in handles:
                await self._compute.stop(handle)
        except ParasolError as error:
            log.warning(
                "workspace %s could not be stopped: %s", workspace_id, error.message
            )  # the watcher tries again
        except Exception:
            log.exception("workspace %s could not be stopped", workspace_id)
        else:
            await self._rows.end(workspace_id, state, reason, message)

    # --- looking

    def inventory(self) -> WorkspaceInventory:
        """All that live, and those that ended within a day."""
        now = self._clock()
        return WorkspaceInventory(tuple(report(row, now) for row in self._rows.remembered(now)))

    async def endpoint(self, row: WorkspaceRow) -> Endpoint | None:
        """Where a running workspace listens."""
        return await self._compute.endpoint(row.handle) if row.handle else None

    # --- watching

    async def recover(self) -> None:
        """Read the rows after a start, and find again what still runs. Nothing is started or ended here."""
        await self._rows.load()
        self._found = False
        try:
            await self._find_again()
        except ParasolError as error:
            log.warning("workspaces cannot be found again yet: %s", error.message)

    async def _find_again(self) -> None:
        owned = await self._compute.list_owned()
        for row in self._rows.living():
            if not row.handle and row.workspace_id in owned:
                found = owned[row.workspace_id]
                await self._rows.change(row.workspace_id, lambda old, handle=found: replace(old, handle=handle))  # type: ignore[misc]
        self._found = True

    async def watch(self) -> None:
        """Look at what lives until cancelled: often while something starts, seldom otherwise."""
        while True:
            self._wake.clear()
            busy = False
            try:
                busy = await self.look()
            except ParasolError as error:
                log.warning("workspaces could not be inspected: %s", error.message)
            except Exception:  # a fault of one adapter must not end the agent
                log.exception("workspaces could not be inspected")
            try:
                await asyncio.wait_for(self._wake.wait(), QUICK if busy else SLOW)
            except TimeoutError:
                continue

    async def look(self) -> bool:
        """One look at every living workspace; whether one of them is starting."""
        if not self._found:
            await self._find_again()  # before that, one without a handle may run all the same
        now, living = self._clock(), self._rows.living()
        seen = await self._compute.inspect([row.handle for row in living if row.handle])
        busy = False
        for row in living:
            if row.workspace_id in self._starting:
                busy = True
                continue
            if row.workspace_id in self._stopping:
                continue
            observed = seen.get(row.handle) if row.handle else NEVER_STARTED
            if observed is not None:
                await self._observe(row, observed, now)
            after = self._rows.latest(row.workspace_id)
            busy = busy or (after is not None and after.state is WorkspaceState.STARTING)
        self._rows.forget_old(now)
        return busy

    async def _observe(self, row: WorkspaceRow, observed: Observation, now: float) -> None:
        if observed.state is RunState.GONE:
            await self._observe_gone(row, observed, now)
            return
        self._gone.pop(row.workspace_id, None)
        if row.state is WorkspaceState.STOPPING:
            self._begin_stop(row.workspace_id, "", "")
        elif self._is_over(row, now):
            self._begin_stop(row.workspace_id, *AT_ITS_END)
        elif observed.state is RunState.RUNNING and row.state is not WorkspaceState.RUNNING:
            await self._rows.change(
                row.workspace_id,
                lambda old: replace(
                    entered(old, StepName.READY, now), state=WorkspaceState.RUNNING,
                    ends_at=old.ends_at or now + old.lifetime_s,
                ),
            )  # fmt: skip
        elif observed.state is RunState.UNKNOWN and row.state is WorkspaceState.RUNNING:
            await self._rows.change(row.workspace_id, lambda old: replace(old, state=WorkspaceState.UNKNOWN))
        elif observed.state is RunState.STARTING and self._too_long(row, now):
            message = "It did not start within 10 minutes."
            self._begin_stop(row.workspace_id, "TIMED_OUT", message, WorkspaceState.FAILED)

    def _is_over(self, row: WorkspaceRow, now: float) -> bool:
        return row.ends_at is not None and row.ends_at <= now

    def _too_long(self, row: WorkspaceRow, now: float) -> bool:
        return row.state is WorkspaceState.STARTING and now - row.created_at > START_WITHIN

    async def _observe_gone(self, row: WorkspaceRow, observed: Observation, now: float) -> None:
        """Two looks are needed to believe an end, unless the backend knows how it ended."""
        self._gone[row.workspace_id] = self._gone.get(row.workspace_id, 0) + 1
        if observed.exit_code is None and not observed.reason and self._gone[row.workspace_id] < 2:
            return
        self._gone.pop(row.workspace_id, None)
        asked, over = row.state is WorkspaceState.STOPPING, self._is_over(row, now)
        if asked or over:
            await self._rows.end(row.workspace_id, WorkspaceState.ENDED, *(AT_ITS_END if over else ("", "")))
        elif observed.exit_code == 0 and row.state is not WorkspaceState.STARTING:
            await self._rows.end(row.workspace_id, WorkspaceState.ENDED, "", "")
        else:
            reason, message = observed.reason or BackendError.reason, observed.message or "It ended by itself."
            await self._rows.end(row.workspace_id, WorkspaceState.FAILED, reason, message)
