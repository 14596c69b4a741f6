"""The rows of workspaces: each change is stored with a higher sequence, then told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from facility_agent.core.reports import entered, report
from facility_agent.ports.store import LinkRow, Store, Transaction, WorkspaceRow
from shared.identity import Subject
from shared.workspaces import StepName, WorkspaceInventory, WorkspaceState

REMEMBERED = 86_400.0


class Rows:
    """What the store holds, with a copy of everything that lives or ended within a day.

    `unowned` names what runs without a row, `complete` says whether that is all; both as of the last look.
    """

    def __init__(self, store: Store, changed: Callable[[WorkspaceRow], None], clock: Callable[[], float]) -> None:
        self._store, self._changed, self._clock = store, changed, clock
        self._copy: dict[str, WorkspaceRow] = {}
        self._loaded = False
        self.unowned: tuple[str, ...] = ()
        self.complete = False

    async def load(self) -> None:
        """Read everything after a start, and again where a commit was in doubt. Raises BackendUnavailable."""
        since = self._clock() - REMEMBERED
        for row in await self._store.transact(lambda tx: tx.workspaces(since)):
            known = self._copy.get(row.workspace_id)
            if not row.is_tombstone and (known is None or known.sequence < row.sequence):
                self.admitted(row)
                if self._loaded:
                    self._changed(row)
        self._loaded = True

    async def stored(self, workspace_id: str) -> WorkspaceRow | None:
        """One row, whatever its state and age."""
        return await self._store.transact(lambda tx: tx.workspace(workspace_id))

    async def known(self, workspace_id: str, subject: Subject) -> tuple[WorkspaceRow | None, LinkRow | None]:
        """The same, and the account link of a subject."""
        return await self._store.transact(lambda tx: (tx.workspace(workspace_id), tx.link_of(subject)))

    async def strays(self, found: Mapping[str, str]) -> tuple[str, ...]:
        """Which of these run without a row."""

        def work(tx: Transaction) -> tuple[str, ...]:
            rows = {workspace_id: tx.workspace(workspace_id) for workspace_id in found}
            return tuple(sorted(w for w, row in rows.items() if row is None or row.is_tombstone))

        return await self._store.transact(work)

    def admitted(self, row: WorkspaceRow) -> None:
        """This row was stored by the transaction that admitted it."""
        self._copy[row.workspace_id] = row

    def changed(self, row: WorkspaceRow) -> None:
        """This row was stored by a transaction that did more than that."""
        self._copy[row.workspace_id] = row
        self._changed(row)

    def latest(self, workspace_id: str) -> WorkspaceRow | None:
        """The copy of one row."""
        return self._copy.get(workspace_id)

    def living(self) -> list[WorkspaceRow]:
        """All that have not ended."""
        return [row for row in self._copy.values() if not row.state.is_final]

    def remembered(self, now: float) -> list[WorkspaceRow]:
        """All that live, and those that ended within a day."""
        return [row for row in self._copy.values() if row.ended_at is None or row.ended_at > now - REMEMBERED]

    def forget_old(self, now: float) -> None:
        """Keep no copy of what ended more than a day ago."""
        self._copy = {row.workspace_id: row for row in self.remembered(now)}

    async def change(
        self, workspace_id: str, decide: Callable[[WorkspaceRow], WorkspaceRow]
    ) -> WorkspaceRow | None:
        """Store what `decide` makes of a row; None when nothing changes. What has ended never changes."""

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
            self.changed(after)
        return after

    async def step(self, workspace_id: str, name: StepName, detail: str = "") -> None:
        """Enter a step."""
        await self.change(workspace_id, lambda row: entered(row, name, self._clock(), detail))

    async def end(self, workspace_id: str, state: WorkspaceState, reason: str, message: str) -> None:
        """Write an end, once."""
        now = self._clock()
        await self.change(
            workspace_id, lambda row: replace(row, state=state, reason=reason, message=message, ended_at=now)
        )

    def inventory(self) -> WorkspaceInventory:
        """All that live, those that ended within a day, and what runs without a row."""
        now = self._clock()
        return WorkspaceInventory(tuple(report(r, now) for r in self.remembered(now)), self.unowned, self.complete)
