"""Pure: what a workspace's row says, and how it grows by a step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from facility_agent.ports.store import WorkspaceRow
from shared.workspaces import StepName, StepReport, WorkspaceReport


def entered(row: WorkspaceRow, name: StepName, now: float, detail: str = "") -> WorkspaceRow:
    """The row once a step was entered; entering it again changes nothing."""
    steps: list[Sequence[object]] = json.loads(row.steps)
    if any(step[0] == name for step in steps):
        return row
    return replace(row, steps=json.dumps([*steps, [name, now, detail]]))


def waits(row: WorkspaceRow, detail: str) -> WorkspaceRow:
    """The row with what its backend says of its place in the queue."""
    steps = [[name, at, detail if name == StepName.QUEUE else old] for name, at, old in json.loads(row.steps)]
    return replace(row, steps=json.dumps(steps))


def left_queue(row: WorkspaceRow, now: float) -> WorkspaceRow:
    """The row once what had waited starts: from now on it has the time that a start has."""
    steps = json.loads(row.steps)
    if not any(name == StepName.QUEUE and detail for name, _, detail in steps):
        return row
    steps = [[name, now if name == StepName.START else at, ""] for name, at, _ in steps]
    return replace(row, steps=json.dumps(steps))


def was_taken(row: WorkspaceRow) -> bool:
    """Whether the compute backend has said that it took it; one that was only found in its list may never have reached it."""
    return any(name == StepName.START for name, _, _ in json.loads(row.steps))


def began(row: WorkspaceRow) -> float:
    """When its start began."""
    return next((at for name, at, _ in json.loads(row.steps) if name == StepName.START), row.created_at)


def report(row: WorkspaceRow, now: float) -> WorkspaceReport:
    """The facility's word on a row."""
    steps = tuple(StepReport(StepName(n), max(0.0, now - at), detail) for n, at, detail in json.loads(row.steps))
    ends_in = row.ends_at - now if row.ends_at is not None and row.ended_at is None else None
    return WorkspaceReport(row.workspace_id, row.sequence, row.state, steps, ends_in, row.reason, row.message)
