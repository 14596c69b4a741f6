"""What the core keeps. One writer; every rule runs inside one transaction that either happens whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from shared.identity import Subject
from shared.workspaces import WorkspaceState

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LinkRow:
    """An account link; `generation` rises whenever it is removed or made anew."""

    subject: Subject
    username: str
    immutable_id: str
    generation: int
    active: bool


@dataclass(frozen=True, slots=True)
class CodeRow:
    """A one-time code under its hash; `secret` is sealed."""

    code_hash: str
    challenge: str
    secret: bytes
    subject: Subject
    sid: str
    scopes: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A grant; `secret` is sealed."""

    grant_id: str
    subject: Subject
    sid: str
    immutable_id: str
    generation: int
    scopes: str
    secret: bytes
    created_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class SeenRow:
    """A command id that was used."""

    command_id: str
    grant_id: str
    body_hash: str
    expires_at: float


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


@dataclass(frozen=True, slots=True)
class WorkspaceRow:
    """A workspace. `steps` is JSON of [[name, entered_at, detail], …]; times are POSIX seconds of this machine."""

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


class Transaction(Protocol):
    """Reads and writes of one transaction."""

    def link_of(self, subject: Subject) -> LinkRow | None:
        """The subject's link, also one that was removed."""
        ...

    def holder_of(self, immutable_id: str) -> LinkRow | None:
        """The link, active or removed, that last held an account."""
        ...

    def put_link(self, row: LinkRow) -> None:
        """Store or replace the subject's link."""
        ...

    def consent_of(self, subject: Subject) -> str:
        """Scopes confirmed, space-separated."""
        ...

    def put_consent(self, subject: Subject, scopes: str) -> None:
        """Replace what was confirmed."""
        ...

    def put_code(self, row: CodeRow) -> None:
        """Store a code."""
        ...

    def take_code(self, code_hash: str) -> CodeRow | None:
        """The code, and delete it."""
        ...

    def put_grant(self, row: GrantRow) -> None:
        """Store a grant."""
        ...

    def grant(self, grant_id: str) -> GrantRow | None:
        """One grant."""
        ...

    def grants_of(self, subject: Subject, sid: str) -> Sequence[GrantRow]:
        """Grants of one sign-in, oldest first."""
        ...

    def expire_grant(self, grant_id: str, at: float) -> None:
        """Let a grant end no later than `at`."""
        ...

    def delete_grant(self, grant_id: str) -> None:
        """Delete one."""
        ...

    def seen(self, command_id: str) -> SeenRow | None:
        """A command id that was used."""
        ...

    def remember(self, row: SeenRow) -> None:
        """Remember a command id."""
        ...

    def end_sid(self, issuer: str, sub: str, sid: str, until: float) -> list[str]:
        """Delete both kinds of codes, grants, sessions and passes of a sign-in (all of `sub` when `sid` is empty).

        Remembers the sid; returns the hashes of the passes.
        """
        ...

    def sid_ended(self, issuer: str, sid: str, now: float) -> bool:
        """Whether this sid ended lately."""
        ...

    def end_link(self, subject: Subject) -> list[str]:
        """Delete both kinds of codes, grants, sessions and passes of a subject; the hashes of the passes."""
        ...

    def session(self, cookie_hash: str) -> SessionRow | None:
        """A gateway session."""
        ...

    def put_session(self, row: SessionRow) -> None:
        """Store one."""
        ...

    def delete_session(self, cookie_hash: str) -> None:
        """Delete one."""
        ...

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

    def sweep(self, now: float) -> None:
        """Delete what has expired."""
        ...


class Store(Protocol):
    """The store of one facility."""

    store_id: str
    boot_counter: int

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in one immediate transaction in the store's own thread; durable before it returns."""
        ...


class Vault(Protocol):
    """Seals secrets under a key that lies outside the store and its backups."""

    def seal(self, label: str, secret: bytes) -> bytes:
        """A box that only this vault opens, and only under the same label."""
        ...

    def unseal(self, label: str, box: bytes) -> bytes:
        """What is in it. Raises BackendError when the key or the label is another."""
        ...
