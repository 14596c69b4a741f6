"""Workspaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.identity import Subject
from shared.workspaces import WorkspaceState


@dataclass(frozen=True, slots=True)
class WorkspaceRow:
    """A workspace. `steps` is JSON of [[name, entered_at, detail], …]; times are POSIX seconds of this machine.

    `dataset` is the one that it was started for, `results` where a task leaves its own (`ports.compute.Task`); empty for none.
    """

    workspace_id: str
    subject: Subject
    immutable_id: str
    order_hash: str
    environment: str
    flavour: str
    proposals: tuple[str, ...]
    title: str
    lifetime_s: int
    state: WorkspaceState
    sequence: int
    steps: str
    handle: str
    secret: bytes
    reason: str
    message: str
    created_at: float
    ends_at: float | None
    ended_at: float | None
    dataset: str = ""
    results: str = ""

    @property
    def is_tombstone(self) -> bool:
        """Whether this only says that the launch of this id was cancelled before it came."""
        return not self.environment


class WorkspaceRows(Protocol):
    """Workspaces, living and ended."""

    def workspace(self, workspace_id: str) -> WorkspaceRow | None:
        """One workspace."""
        ...

    def put_workspace(self, row: WorkspaceRow) -> None:
        """Store or replace one."""
        ...

    def workspaces(self, ended_after: float) -> Sequence[WorkspaceRow]:
        """All that live, and those that ended after an instant."""
        ...

    def living_of(self, immutable_id: str) -> int:
        """How many workspaces of an account live."""
        ...
