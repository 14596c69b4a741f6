"""The rows of workspaces: each change is stored with a higher sequence, then told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from facility_agent.core.reports import entered
from facility_agent.ports.store import Store, Transaction, WorkspaceRow
from shared.workspaces import StepName, WorkspaceState

REMEMBERED = 86_400.0


class Rows:
    """What the store holds, with a copy of everything that lives or ended within a day."""

    def __init__(self, store: Store, changed: Callable[[WorkspaceRow], None], clock: Callable[[], float]) -> None:
        self._store, self._changed, self._clock = store, changed, clock
        self._copy: dict[str, WorkspaceRow] = {}

    async def load(self) -> None:
        """Read everything after a start."""
        rows = await self._store.transact(lambda tx: tx.workspaces(self._clock() - REMEMBERED))
        self._copy = {row.workspace_id: row for row in rows}

    async def stored(self, workspace_id: str) -> WorkspaceRow | None:
        """One row, whatever its state and age."""
        return await self._store.transact(lambda tx: tx.workspace(workspace_id))

    def admitted(self, row: WorkspaceRow) -> None:
        """This row was stored by the transaction that admitted it."""
        self._copy[row.workspace_id] = row

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
            self._copy[workspace_id] = after
            self._changed(after)
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
