"""Tokens of the facility's own sign-on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.identity import Subject

TOKEN_WAITS = 600.0
"""So many seconds a token is kept for the grant that is to come of the same visit."""


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One person's token for one account; `token` is sealed. `mark` is new with each; times are POSIX seconds of this machine."""

    subject: Subject
    sid: str
    immutable_id: str
    mark: str
    token: bytes
    kept_at: float
    expires_at: float


class TokenRows(Protocol):
    """Sign-on tokens, one a subject."""

    def put_token(self, row: TokenRow) -> None:
        """Store or replace the subject's."""
        ...

    def tokens_for(self, immutable_id: str) -> Sequence[TokenRow]:
        """What subjects brought for an account."""
        ...

    def drop_token(self, subject: Subject, sid: str) -> None:
        """Forget what the subject brought in this sign-in; no error when there is none."""
        ...

    def has_grant(self, subject: Subject, now: float) -> bool:
        """Whether the subject has a grant that has not expired."""
        ...
