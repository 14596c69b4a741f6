"""Workspaces."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from facility_agent.ports.store import WorkspaceRow
from facility_agent.store.tables import Tables
from shared.identity import Subject
from shared.workspaces import WorkspaceState


class WorkspaceTables(Tables):
    """Implements `ports.store.workspaces.WorkspaceRows`."""

    def workspace(self, workspace_id: str) -> WorkspaceRow | None:
        """One workspace."""
        row = self._one("select * from workspace where workspace_id=?", workspace_id)
        return _workspace(row) if row else None

    def put_workspace(self, row: WorkspaceRow) -> None:
        """Store or replace one."""
        who = row.subject
        self._put(
            "workspace", row.workspace_id, who.issuer, who.sub, row.immutable_id, row.order_hash, row.environment,
            row.flavour, json.dumps(row.proposals), row.title, row.lifetime_s, row.state.value, row.sequence,
            row.steps, row.handle, row.secret, row.reason, row.message, row.created_at, row.ends_at, row.ended_at,
            row.dataset, row.results,
        )  # fmt: skip

    def workspaces(self, ended_after: float) -> Sequence[WorkspaceRow]:
        """All that live, and those that ended after an instant."""
        sql = "select * from workspace where ended_at is null or ended_at>? order by created_at"
        return [_workspace(row) for row in self._db.execute(sql, (ended_after,))]

    def living_of(self, immutable_id: str) -> int:
        """How many workspaces of an account live."""
        row = self._one("select count(*) from workspace where immutable_id=? and ended_at is null", immutable_id)
        return int(row[0]) if row else 0


def _workspace(row: tuple[Any, ...]) -> WorkspaceRow:
    return WorkspaceRow(
        row[0], Subject(row[1], row[2]), row[3], row[4], row[5], row[6], tuple(json.loads(row[7])), row[8], row[9],
        WorkspaceState(row[10]), *row[11:],
    )  # fmt: skip
