"""Account links and what people consented to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from shared.identity import Subject


@dataclass(frozen=True, slots=True)
class LinkRow:
    """An account link; `generation` rises whenever it is removed or made anew."""

    subject: Subject
    username: str
    immutable_id: str
    generation: int
    active: bool


class AccountRows(Protocol):
    """Account links and consent."""

    def link_of(self, subject: Subject) -> LinkRow | None:
        """The subject's link, also one that was removed."""
        ...

    def holder_of(self, immutable_id: str) -> LinkRow | None:
        """The link, active or removed, that last held an account."""
        ...

    def put_link(self, row: LinkRow) -> None:
        """Store or replace the subject's link."""
        ...

    def end_link(self, subject: Subject) -> list[str]:
        """Delete both kinds of codes, grants, sessions and passes of a subject; the hashes of the passes."""
        ...

    def consent_of(self, subject: Subject) -> str:
        """Scopes confirmed, space-separated."""
        ...

    def put_consent(self, subject: Subject, scopes: str) -> None:
        """Replace what was confirmed."""
        ...
