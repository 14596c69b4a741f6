"""Sessions at the gateway, and cookies of workspaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from shared.identity import Subject


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A browser's session at the gateway; subject is None before UmbrellaID has answered."""

    cookie_hash: str
    subject: Subject | None
    sid: str
    data: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class PassRow:
    """A workspace cookie."""

    cookie_hash: str
    workspace_id: str
    subject: Subject
    sid: str
    generation: int
    expires_at: float


class BrowserRows(Protocol):
    """Gateway sessions and workspace cookies."""

    def session(self, cookie_hash: str) -> SessionRow | None:
        """A gateway session."""
        ...

    def put_session(self, row: SessionRow) -> None:
        """Store one."""
        ...

    def delete_session(self, cookie_hash: str) -> None:
        """Delete one."""
        ...

    def put_pass(self, row: PassRow) -> None:
        """Store a workspace cookie."""
        ...

    def pass_of(self, cookie_hash: str) -> PassRow | None:
        """One workspace cookie."""
        ...
