"""The keys under which the egress log knows people."""

from __future__ import annotations

from typing import Protocol

from shared.identity import Subject


class EgressRows(Protocol):
    """A sealed key per person."""

    def egress_key(self, subject: Subject) -> bytes | None:
        """A person's sealed key, None without one."""
        ...

    def put_egress_key(self, subject: Subject, box: bytes) -> None:
        """Store a new one."""
        ...

    def erase_egress_key(self, subject: Subject) -> bool:
        """Overwrite and delete it; whether there was one."""
        ...
