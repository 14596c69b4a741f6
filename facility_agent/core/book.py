"""The workspaces that matter now, as the store has them. Each change is one stored row with a higher sequence, then an event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from facility_agent.core.reports import entered, report
from facility_agent.ports.store import Store, Transaction, WorkspaceRow
from shared.workspaces import StepName, WorkspaceInventory, WorkspaceState

REMEMBERED = 86_400.0


class Book:
    """`rows` holds what lives and what ended within a day. `changed` hears of each stored change.

    `unowned` names what runs without a row, `complete` says whether that is all; both as of the last look.
    """

    def __init__(
        self, store: Store, clock: Callable[[], float], changed: Callable[[WorkspaceRow], None]
    ) -> None:  # fmt: skip
        self._store, self._clock, self._changed = store, clock, changed
        self._rows: dict[str, WorkspaceRow] = {}
        self.unowned: tuple[str, ...] = ()
        self.complete = False

    @property
    def rows(self) -> Mapping[str, WorkspaceRow]:
        """By workspace id."""
        return self._rows

    async def load(self) -> None:
        """Read what the store has; also finds rows whose commit was in doubt. Raises BackendUnavailable."""
        since = self._clock() - REMEMBERED
        for row in await self._store.transact(lambda tx: tx.workspaces(since)):
            known = self._rows.get(row.workspace_id)
            if not row.is_tombstone and (known is None or known.sequence < row.sequence):
                self.keep(row)

    async def known(self, workspace_id: str) -> WorkspaceRow | None:
        """The row of an id, whatever its state."""
        return await self._store.transact(lambda tx: tx.workspace(workspace_id))

    async def strays(self, found: Mapping[str, str]) -> tuple[str, ...]:
        """Which of these run without a row."""

        def work(tx: Transaction) -> tuple[str, ...]:
            rows = {workspace_id: tx.workspace(workspace_id) for workspace_id in found}
            return tuple(sorted(w for w, row in rows.items() if row is None or row.is_tombstone))

        return await self._store.transact(work)

    def keep(self, row: WorkspaceRow) -> None:
        """A row that was stored."""
        self._rows[row.workspace_id] = row
        self._changed(row)

    async def change(
        self, workspace_id: str, decide: Callable[[WorkspaceRow], WorkspaceRow]
    ) -> WorkspaceRow | None:
        """Store what `decide` makes of a living row; None when nothing changed. Raises BackendUnavailable."""

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
            self.keep(after)
        return after

    async def step(self, workspace_id: str, name: StepName, detail: str = "") -> None:
        """A step of its launch was entered."""
        await self.change(workspace_id, lambda row: entered(row, name, self._clock(), detail))

    async def end(self, workspace_id: str, state: WorkspaceState, reason: str, message: str) -> None:
        """It has ended."""
        now = self._clock()
        await self.change(
            workspace_id, lambda row: replace(row, state=state, reason=reason, message=message, ended_at=now)
        )

    def forget(self) -> None:
        """Leave out what ended long ago; the store keeps it."""
        since = self._clock() - REMEMBERED
        self._rows = {w: r for w, r in self._rows.items() if r.ended_at is None or r.ended_at > since}

    def inventory(self) -> WorkspaceInventory:
        """All that live, those that ended within a day, and what runs without a row."""
        now = self._clock()
        reports = (
            report(row, now)
            for row in self._rows.values()
            if row.ended_at is None or row.ended_at > now - REMEMBERED
        )
        return WorkspaceInventory(tuple(reports), self.unowned, self.complete)
