"""Workspaces: what launching and stopping mean, and the parts that carry it out."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import replace

from facility_agent.core.accounts import Accounts
from facility_agent.core.catalogue import Catalogue
from facility_agent.core.effects import Effect
from facility_agent.core.mounting import results_folder
from facility_agent.core.offers import Offers
from facility_agent.core.reports import report
from facility_agent.core.rows import Rows
from facility_agent.core.runs import Runs
from facility_agent.core.watching import Watcher
from facility_agent.ports.compute import ComputeBackend, Endpoint
from facility_agent.ports.directory import Account
from facility_agent.ports.moments import At, nothing
from facility_agent.ports.store import LinkRow, OrderRow, Store, Transaction, Vault, WorkspaceRow
from shared.errors import AccountNotLinked, BackendError, Conflict, NotFound, QuotaExceeded
from shared.facilities import UsedAs
from shared.workspaces import (
    LAST_SEQUENCE,
    LaunchRequest,
    StepName,
    Why,
    WorkspaceInventory,
    WorkspaceReport,
    WorkspaceState,
)

_AT_ONCE = (StepName.ASK, StepName.ACCOUNT, StepName.DATA, StepName.QUEUE)
"""The steps that are behind a workspace when it is admitted."""


class Workspaces:
    """All workspaces of this facility. `clock` is this machine's POSIX time in seconds."""

    def __init__(
        self, store: Store, vault: Vault, accounts: Accounts, catalogue: Catalogue, compute: ComputeBackend,
        offers: Offers, per_account: int, clock: Callable[[], float], changed: Callable[[WorkspaceRow], None],
        at: At = nothing,
    ) -> None:  # fmt: skip
        self._vault, self._accounts, self._offers = vault, accounts, offers
        self._compute, self._most, self._clock = compute, per_account, clock
        self._rows = Rows(store, changed, clock)
        self._watcher = Watcher(self._rows, compute, clock)
        self._runs = Runs(
            self._rows, vault, accounts, catalogue, compute, offers, clock, self._watcher.wake, at
        )  # fmt: skip
        self._watcher.runs = self._runs
        self.probed, self.watch, self.look = self._watcher.probed, self._watcher.watch, self._watcher.look
        self.known, self.latest = self._rows.stored, self._rows.latest
        self.leave = self._runs.leave

    def inventory(self) -> WorkspaceInventory:
        """All that live, those that ended within a day, and what runs without a row."""
        return self._rows.inventory()

    async def recover(self) -> None:
        """Read the rows after a start; what runs is found again by `watch`. Raises BackendUnavailable."""
        await self._rows.load()

    async def endpoint(self, row: WorkspaceRow) -> Endpoint | None:
        """Where a running workspace listens."""
        return await self._compute.endpoint(row.handle) if row.handle else None

    # --- launching

    async def launching(self, order: OrderRow, request: LaunchRequest) -> Effect:
        """Admit and begin to start. A refusal stores nothing and starts nothing.

        Raises NotFound, FlavourTooLarge, ProposalDenied, DataNotOnline, InvalidRequest, NoPlaceForResults, AccountNotLinked,
        AccessDenied, IdentityRefused, BackendUnavailable; its transaction QuotaExceeded, AccountNotLinked, Conflict.
        """
        before, link = await self._rows.known(order.order_id, order.subject)
        if before is not None and _answers(before, order):
            return Effect(lambda tx: report(before, self._clock()))
        offer, flavour = self._offers.choose(request)
        account = await self._accounts.account_by(link, order)
        shown = await self._runs.mounts(request.proposals, account, request.dataset)
        now, secret, results = self._clock(), secrets.token_urlsafe(32), ""
        if offer.environment.used_as is UsedAs.TASK:
            results = results_folder(shown.results, offer.environment.id, request.proposals, order.order_id, now)
        steps = json.dumps([[name, now, ""] for name in _AT_ONCE])
        row = WorkspaceRow(
            order.order_id, order.subject, account.immutable_id, order.order_hash, offer.environment.id, flavour.id,
            request.proposals, request.title, request.lifetime_s, WorkspaceState.STARTING, 1, steps, "",
            self._vault.seal(f"workspace {order.order_id}", secret.encode()), "", "", now, None, None, request.dataset,
            results,
        )  # fmt: skip
        stored: list[WorkspaceRow] = []

        def write(tx: Transaction) -> WorkspaceReport:
            stored.append(self._admit(tx, order, row, account))
            return report(stored[0], self._clock())

        def after() -> None:
            if stored == [row]:
                self._rows.admitted(row)
                self._runs.begin(row, shown.mounts, secret, account)

        return Effect(write, after)

    def _admit(self, tx: Transaction, order: OrderRow, row: WorkspaceRow, account: Account) -> WorkspaceRow:
        before = tx.workspace(row.workspace_id)
        if before is not None and _answers(before, order):
            return before
        if before is not None and not before.is_tombstone:
            raise Conflict
        if _link(tx, order).immutable_id != account.immutable_id:
            raise AccountNotLinked
        if tx.living_of(account.immutable_id) >= self._most:
            raise QuotaExceeded(
                f"You have {self._most} workspaces here already, as many as the facility allows; stop one first.",
                metadata={"limit": str(self._most)},
            )
        tx.put_workspace(row)
        return row

    # --- stopping

    def stopping(self, order: OrderRow, workspace_id: str) -> Effect:
        """Stop one's own workspace; what has ended already stays as it is.

        One that never arrived is cancelled: a tombstone answers its launch, should that come later. Of one that runs
        without a row nobody can say whose it is. Its transaction raises NotFound, AccountNotLinked, BackendError.
        """
        stored: list[WorkspaceRow] = []

        def write(tx: Transaction) -> WorkspaceReport:
            link, before = _link(tx, order), tx.workspace(workspace_id)
            if before is None and workspace_id in self._rows.unowned:
                raise BackendError(
                    "It runs there, but the facility lost its records of it; its operator can end it."
                )
            if before is None:
                before = self._tombstone(order, link, workspace_id)
                tx.put_workspace(before)
            elif before.subject != order.subject or before.immutable_id != link.immutable_id:
                raise NotFound("You have no such workspace here.")
            elif not before.state.is_final:
                stored.append(replace(before, state=WorkspaceState.STOPPING, sequence=before.sequence + 1))
                tx.put_workspace(stored[0])
            return report(stored[0] if stored else before, self._clock())

        def after() -> None:
            if stored:
                self._rows.changed(stored[0])
                self._runs.end(workspace_id)

        return Effect(write, after)

    def _tombstone(self, order: OrderRow, link: LinkRow, workspace_id: str) -> WorkspaceRow:
        """Nothing follows it, and it counts after whatever a store that is lost had said."""
        now = self._clock()
        return WorkspaceRow(
            workspace_id, order.subject, link.immutable_id, "", "", "", (), "", 0, WorkspaceState.ENDED,
            LAST_SEQUENCE, "[]", "", b"", Why.CANCELLED.value, "It was cancelled before it started.", now, None, now,
        )  # fmt: skip


def _answers(row: WorkspaceRow, order: OrderRow) -> bool:
    """Whether a row is what this launch made before, or the tombstone that its own person left for it."""
    return row.subject == order.subject if row.is_tombstone else row.order_hash == order.order_hash


def _link(tx: Transaction, order: OrderRow) -> LinkRow:
    """The account link that the order was asked under. Raises AccountNotLinked when it has changed since."""
    link = tx.link_of(order.subject)
    if link is None or not link.active or link.generation != order.generation:
        raise AccountNotLinked("The account link changed meanwhile; ask again.")
    return link
