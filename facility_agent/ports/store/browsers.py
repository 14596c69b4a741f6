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
class DoorCodeRow:
    """A one-time code into a workspace, under its hash, for the browser that holds the state."""

    code_hash: str
    workspace_id: str
    state_hash: str
    subject: Subject
    sid: str
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
    """Gateway sessions."""

    def session(self, cookie_hash: str) -> SessionRow | None:
        """A gateway session."""
        ...

    def put_session(self, row: SessionRow) -> None:
        """Store one."""
        ...

    def delete_session(self, cookie_hash: str) -> None:
        """Delete one."""
        ...


class DoorRows(Protocol):
    """The way into workspaces: one-time codes, then cookies."""

    def put_door_code(self, row: DoorCodeRow) -> None:
        """Store a one-time code into a workspace."""
        ...

    def take_door_code(self, code_hash: str) -> DoorCodeRow | None:
        """The code, and delete it."""
        ...

    def door_codes(self) -> int:
        """How many there are."""
        ...

    def put_pass(self, row: PassRow) -> None:
        """Store a workspace cookie."""
        ...

    def pass_of(self, cookie_hash: str) -> PassRow | None:
        """One workspace cookie."""
        ...
