"""Tokens of the facility's own sign-on."""

from __future__ import annotations

from collections.abc import Sequence

from facility_agent.ports.store import TokenRow
from facility_agent.store.tables import Tables
from shared.identity import Subject


class TokenTables(Tables):
    """Implements `ports.store.tokens.TokenRows`."""

    def put_token(self, row: TokenRow) -> None:
        """Store or replace the subject's."""
        who = row.subject
        self._put(
            "sign_on_token", who.issuer, who.sub, row.sid, row.immutable_id, row.mark, row.token, row.kept_at, row.expires_at
        )  # fmt: skip

    def tokens_for(self, immutable_id: str) -> Sequence[TokenRow]:
        """What subjects brought for an account."""
        sql = "select * from sign_on_token where immutable_id=?"
        return [TokenRow(Subject(row[0], row[1]), *row[2:]) for row in self._db.execute(sql, (immutable_id,))]

    def drop_token(self, subject: Subject, sid: str) -> None:
        """Forget what the subject brought in this sign-in."""
        sql = "delete from sign_on_token where issuer=? and sub=? and sid=?"
        self._db.execute(sql, (subject.issuer, subject.sub, sid))

    def has_grant(self, subject: Subject, now: float) -> bool:
        """Whether the subject has a grant that has not expired."""
        sql = "select 1 from grant_ where issuer=? and sub=? and expires_at>?"
        return self._one(sql, subject.issuer, subject.sub, now) is not None
