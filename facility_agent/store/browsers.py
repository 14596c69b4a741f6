"""Gateway sessions, and codes for and cookies of workspaces."""

from __future__ import annotations

from facility_agent.ports.store import DoorCodeRow, PassRow, SessionRow
from facility_agent.store.tables import Tables
from shared.identity import Subject


class BrowserTables(Tables):
    """Implements `ports.store.browsers.BrowserRows` and `DoorRows`."""

    def session(self, cookie_hash: str) -> SessionRow | None:
        """A gateway session."""
        row = self._one("select * from session where cookie_hash=?", cookie_hash)
        if row is None:
            return None
        subject = Subject(row[1], row[2]) if row[1] is not None else None
        return SessionRow(row[0], subject, row[3], row[4], row[5])

    def put_session(self, row: SessionRow) -> None:
        """Store one."""
        who = row.subject
        self._put(
            "session", row.cookie_hash, who.issuer if who else None, who.sub if who else None, row.sid, row.data,
            row.expires_at,
        )  # fmt: skip

    def delete_session(self, cookie_hash: str) -> None:
        """Delete one."""
        self._db.execute("delete from session where cookie_hash=?", (cookie_hash,))

    def put_door_code(self, row: DoorCodeRow) -> None:
        """Store a one-time code into a workspace."""
        who = row.subject
        self._put(
            "door_code", row.code_hash, row.workspace_id, row.state_hash, who.issuer, who.sub, row.sid, row.expires_at
        )  # fmt: skip

    def take_door_code(self, code_hash: str) -> DoorCodeRow | None:
        """The code, and delete it."""
        row = self._one("delete from door_code where code_hash=? returning *", code_hash)
        return DoorCodeRow(row[0], row[1], row[2], Subject(row[3], row[4]), *row[5:]) if row else None

    def door_codes(self) -> int:
        """How many there are."""
        row = self._one("select count(*) from door_code")
        return int(row[0]) if row else 0

    def put_pass(self, row: PassRow) -> None:
        """Store a workspace cookie."""
        who = row.subject
        self._put(
            "pass", row.cookie_hash, row.workspace_id, who.issuer, who.sub, row.sid, row.generation, row.expires_at
        )

    def pass_of(self, cookie_hash: str) -> PassRow | None:
        """One workspace cookie."""
        row = self._one("select * from pass where cookie_hash=?", cookie_hash)
        return PassRow(row[0], row[1], Subject(row[2], row[3]), *row[4:]) if row else None
