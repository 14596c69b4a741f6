"""Codes, grants, and ids that were used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.identity import Subject


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


class GrantRows(Protocol):
    """Codes and grants."""

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


class UsedRows(Protocol):
    """What was used or has ended, for as long as that matters."""

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

    def sweep(self, now: float) -> None:
        """Delete what has expired."""
        ...
