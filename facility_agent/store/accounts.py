"""Account links and consent."""

from __future__ import annotations

from typing import Any

from facility_agent.ports.store import LinkRow
from facility_agent.store.tables import Tables
from shared.identity import Subject


class AccountTables(Tables):
    """Implements `ports.store.accounts.AccountRows`."""

    def link_of(self, subject: Subject) -> LinkRow | None:
        """The subject's link, also one that was removed."""
        row = self._one("select * from link where issuer=? and sub=?", subject.issuer, subject.sub)
        return _link(row) if row else None

    def holder_of(self, immutable_id: str) -> LinkRow | None:
        """The link that holds or last held an account; the active one first."""
        row = self._one("select * from link where immutable_id=? order by active desc, rowid desc", immutable_id)
        return _link(row) if row else None

    def put_link(self, row: LinkRow) -> None:
        """Store or replace the subject's link."""
        self._put(
            "link", row.subject.issuer, row.subject.sub, row.username, row.immutable_id, row.generation, row.active
        )

    def consent_of(self, subject: Subject) -> str:
        """Scopes confirmed."""
        row = self._one("select scopes from consent where issuer=? and sub=?", subject.issuer, subject.sub)
        return str(row[0]) if row else ""

    def put_consent(self, subject: Subject, scopes: str) -> None:
        """Replace what was confirmed."""
        self._put("consent", subject.issuer, subject.sub, scopes)

    def end_link(self, subject: Subject) -> list[str]:
        """Delete everything of a subject."""
        return self._end("issuer=? and sub=?", subject.issuer, subject.sub)


def _link(row: tuple[Any, ...]) -> LinkRow:
    return LinkRow(Subject(row[0], row[1]), row[2], row[3], row[4], bool(row[5]))
