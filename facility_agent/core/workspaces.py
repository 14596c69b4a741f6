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
from facility_agent.core.reports import entered, report, safe_name
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
REMEMBERED = 86_400.0
START_WITHIN = 600.0


class Workspaces:
    """All workspaces of this facility. `clock` is this machine's POSIX time in seconds."""

    def __init__(
        self, store: Store, vault: Vault, accounts: Accounts, catalogue: Catalogue, compute: ComputeBackend,
        offers: Offers, per_account: int,
        clock: Callable[[], float], changed: Callable[[WorkspaceRow], None],
    ) -> None:  # fmt: skip
        self._store, self._vault, self._accounts, self._catalogue = store, vault, accounts, catalogue
        self._compute, self._offers, self._most = compute, offers, per_account
        self._clock, self._changed = clock, changed
        self._rows: dict[str, WorkspaceRow] = {}
        self._gone: dict[str, int] = {}
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()

    # --- orders

    async def known(self, workspace_id: str) -> WorkspaceRow | None:
        """The row of an id, whatever its state."""
        return await self._store.transact(lambda tx: tx.workspace(workspace_id))

    async def launch(
        self, workspace_id: str, request: LaunchRequest, grant: GrantRow, order: str
    ) -> WorkspaceReport:
        """Admit and begin to start. A refusal stores nothing and starts nothing.

        Raises NotFound, FlavourTooLarge, QuotaExceeded, ProposalDenied, AccountNotLinked, IdentityRefused, Conflict.
        """
        offer, flavour = self._offers.choose(request)
        account = await self._accounts.account_of(grant)
        locations = await self._catalogue.locate(request.proposals, account)
        mounts = tuple(Mount(safe_name(item.proposal), item.folder) for item in locations)
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
            self._rows[workspace_id] = row
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
            await self._step(workspace_id, StepName.QUEUE)
            handle = await self._compute.start(spec, account)
        except ParasolError as error:
            await self._end(workspace_id, WorkspaceState.FAILED, error.reason, error.message)
        except Exception:
            log.exception("workspace %s could not be started", workspace_id)
            await self._end(
                workspace_id, WorkspaceState.FAILED, BackendError.reason, "The facility could not start it."
            )
        else:
            await self._change(
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
        changed = await self._change(workspace_id, lambda old: replace(old, state=WorkspaceState.STOPPING))
        asyncio.get_running_loop().create_task(self._stop(workspace_id, "", ""))
        return report(changed or row, self._clock())

    async def _stop(self, workspace_id: str, reason: str, message: str) -> None:
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
            log.warning("workspace %s could not be stopped: %s", workspace_id, error.message)
            return  # the watcher tries again
        await self._end(workspace_id, WorkspaceState.ENDED, reason, message)

    # --- rows and events

    async def _change(
        self, workspace_id: str, decide: Callable[[WorkspaceRow], WorkspaceRow]
    ) -> WorkspaceRow | None:
        def work(tx: Transaction) -> WorkspaceRow | None:
            row = tx.workspace(workspace_id)
            if row is None or row.state.is_final:
                return None
            after = decide(row)
            if after == row:
                return None
            after = replace(after, sequence=row.sequence + 1)
            tx.put_workspace(after)
            return after

        after = await self._store.transact(work)
        if after is not None:
            if after.state.is_final:
                self._gone.pop(workspace_id, None)
            self._rows[workspace_id] = after
            self._changed(after)
        return after

    async def _step(self, workspace_id: str, name: StepName, detail: str = "") -> None:
        await self._change(workspace_id, lambda row: entered(row, name, self._clock(), detail))

    async def _end(self, workspace_id: str, state: WorkspaceState, reason: str, message: str) -> None:
        now = self._clock()
        await self._change(
            workspace_id, lambda row: replace(row, state=state, reason=reason, message=message, ended_at=now)
        )

    def inventory(self) -> WorkspaceInventory:
        """All that live, and those that ended within a day."""
        now = self._clock()
        return WorkspaceInventory(
            tuple(
                report(row, now)
                for row in self._rows.values()
                if row.ended_at is None or row.ended_at > now - REMEMBERED
            )
        )

    async def endpoint(self, row: WorkspaceRow) -> Endpoint | None:
        """Where a running workspace listens."""
        return await self._compute.endpoint(row.handle) if row.handle else None

    # --- watching

    async def recover(self) -> None:
        """Read the rows after a start, and find again what still runs. Nothing is started or ended here."""
        rows = await self._store.transact(lambda tx: tx.workspaces(self._clock() - REMEMBERED))
        self._rows = {row.workspace_id: row for row in rows}
        owned = await self._compute.list_owned()
        for row in rows:
            if not row.state.is_final and not row.handle and row.workspace_id in owned:
                found = owned[row.workspace_id]
                await self._change(row.workspace_id, lambda old, handle=found: replace(old, handle=handle))  # type: ignore[misc]

    async def watch(self) -> None:
        """Look at what lives until cancelled: often while something starts, seldom otherwise."""
        while True:
            self._wake.clear()
            try:
                busy = await self.look()
            except ParasolError as error:
                log.warning("workspaces could not be inspected: %s", error.message)
                busy = False
            try:
                await asyncio.wait_for(self._wake.wait(), QUICK if busy else SLOW)
            except TimeoutError:
                continue

    async def look(self) -> bool:
        """One look at every living workspace; whether one of them is starting."""
        now = self._clock()
        living = [row for row in self._rows.values() if not row.state.is_final]
        seen = await self._compute.inspect([row.handle for row in living if row.handle])
        busy = False
        for row in living:
            if row.workspace_id in self._starting:
                busy = True
                continue
            observed = (
                seen.get(row.handle)
                if row.handle
                else Observation(RunState.GONE, "BACKEND_FAILED", "The facility lost it before it started.")
            )
            if observed is not None:
                await self._observe(row, observed, now)
            after = self._rows[row.workspace_id]
            busy = busy or (after.state is WorkspaceState.STARTING)
        for workspace_id in [
            w for w, row in self._rows.items() if row.ended_at is not None and row.ended_at < now - REMEMBERED
        ]:
            del self._rows[workspace_id]
        return busy

    async def _observe(self, row: WorkspaceRow, observed: Observation, now: float) -> None:
        if observed.state is RunState.GONE:
            await self._observe_gone(row, observed)
            return
        self._gone.pop(row.workspace_id, None)
        if row.state is WorkspaceState.STOPPING or (row.ends_at is not None and row.ends_at <= now):
            reason = ("LIFETIME", "It reached its end.") if row.state is not WorkspaceState.STOPPING else ("", "")
            await self._stop(row.workspace_id, *reason)
        elif observed.state is RunState.RUNNING and row.state is not WorkspaceState.RUNNING:
            await self._change(
                row.workspace_id,
                lambda old: replace(
                    entered(old, StepName.READY, now), state=WorkspaceState.RUNNING,
                    ends_at=old.ends_at or now + old.lifetime_s,
                ),
            )  # fmt: skip
        elif observed.state is RunState.UNKNOWN and row.state is WorkspaceState.RUNNING:
            await self._change(row.workspace_id, lambda old: replace(old, state=WorkspaceState.UNKNOWN))
        elif row.state is WorkspaceState.STARTING and now - row.created_at > START_WITHIN:
            await self._stop(row.workspace_id, "TIMED_OUT", "It did not start within 10 minutes.")

    async def _observe_gone(self, row: WorkspaceRow, observed: Observation) -> None:
        """Two looks are needed to believe an end, unless the backend knows how it ended."""
        self._gone[row.workspace_id] = self._gone.get(row.workspace_id, 0) + 1
        if observed.exit_code is None and not observed.reason and self._gone[row.workspace_id] < 2:
            return
        asked = row.state is WorkspaceState.STOPPING
        never_ran = row.state is WorkspaceState.STARTING
        clean = asked or (observed.exit_code == 0 and not never_ran)
        state = WorkspaceState.ENDED if clean else WorkspaceState.FAILED
        reason = "" if clean else observed.reason or BackendError.reason
        message = "" if clean else observed.message or "It ended by itself."
        await self._end(row.workspace_id, state, reason, message)
