"""Codes, grants, and ids that were used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from facility_agent.ports.store import CodeRow, GrantRow, SeenRow
from facility_agent.ports.store.tokens import TOKEN_WAITS
from facility_agent.store.tables import Tables
from shared.identity import Subject

_ORPHANS = "delete from sign_on_token where kept_at<? and (issuer, sub) not in (select issuer, sub from grant_)"


class GrantTables(Tables):
    """Implements `ports.store.grants.GrantRows` and `UsedRows`."""

    def put_code(self, row: CodeRow) -> None:
        """Store a code."""
        who = row.subject
        self._put(
            "code",
            row.code_hash,
            row.challenge,
            row.secret,
            who.issuer,
            who.sub,
            row.sid,
            row.scopes,
            row.expires_at,
        )

    def take_code(self, code_hash: str) -> CodeRow | None:
        """The code, and delete it."""
        row = self._one("delete from code where code_hash=? returning *", code_hash)
        return CodeRow(row[0], row[1], row[2], Subject(row[3], row[4]), *row[5:]) if row else None

    def put_grant(self, row: GrantRow) -> None:
        """Store a grant."""
        who = row.subject
        self._put(
            "grant_", row.grant_id, who.issuer, who.sub, row.sid, row.immutable_id, row.generation, row.scopes,
            row.secret, row.created_at, row.expires_at,
        )  # fmt: skip

    def grant(self, grant_id: str) -> GrantRow | None:
        """One grant."""
        row = self._one("select * from grant_ where grant_id=?", grant_id)
        return _grant(row) if row else None

    def grants_of(self, subject: Subject, sid: str) -> Sequence[GrantRow]:
        """Grants of one sign-in, oldest first."""
        sql = "select * from grant_ where issuer=? and sub=? and sid=? order by created_at, rowid"
        return [_grant(row) for row in self._db.execute(sql, (subject.issuer, subject.sub, sid))]

    def expire_grant(self, grant_id: str, at: float) -> None:
        """Let a grant end no later than `at`."""
        self._db.execute("update grant_ set expires_at=min(expires_at, ?) where grant_id=?", (at, grant_id))

    def delete_grant(self, grant_id: str) -> None:
        """Delete one."""
        self._db.execute("delete from grant_ where grant_id=?", (grant_id,))

    def seen(self, command_id: str) -> SeenRow | None:
        """A command id that was used."""
        row = self._one("select * from seen where command_id=?", command_id)
        return SeenRow(*row) if row else None

    def remember(self, row: SeenRow) -> None:
        """Remember a command id."""
        self._put("seen", row.command_id, row.grant_id, row.body_hash, row.expires_at)

    def end_sid(self, issuer: str, sub: str, sid: str, until: float) -> list[str]:
        """Delete everything of a sign-in and remember its sid."""
        if sid:
            self._put("ended_sid", issuer, sid, until)
            return self._end("issuer=? and sid=?", issuer, sid)
        return self._end("issuer=? and sub=?", issuer, sub)

    def sid_ended(self, issuer: str, sid: str, now: float) -> bool:
        """Whether this sid ended lately."""
        return bool(sid) and self._one(
            "select 1 from ended_sid where issuer=? and sid=? and until>?", issuer, sid, now
        ) is not None  # fmt: skip

    def sweep(self, now: float) -> None:
        """Delete what has expired."""
        for table in ("code", "door_code", "grant_", "seen", "session", "pass"):
            self._db.execute(f"delete from {table} where expires_at<?", (now,))  # noqa: S608 (our own names)
        self._db.execute("delete from ended_sid where until<?", (now,))
        self._db.execute("update sign_on_token set token=x'' where expires_at<?", (now,))
        self._db.execute(_ORPHANS, (now - TOKEN_WAITS,))


def _grant(row: tuple[Any, ...]) -> GrantRow:
    return GrantRow(row[0], Subject(row[1], row[2]), *row[3:])
