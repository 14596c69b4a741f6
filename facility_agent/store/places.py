"""Where people have said that data of datasets lie."""

from __future__ import annotations

from collections.abc import Sequence

from facility_agent.ports.store import EnteredRow
from facility_agent.store.tables import Tables


class EnteredTables(Tables):
    """Implements `ports.store.places.EnteredRows`."""

    def put_entered(self, row: EnteredRow) -> None:
        """Store or replace an account's for a dataset."""
        self._put("entered_place", row.immutable_id, row.pid, row.folder, row.entered_at, row.missed_at)

    def entered(self, immutable_id: str, pid: str) -> EnteredRow | None:
        """An account's for a dataset."""
        row = self._one("select * from entered_place where immutable_id=? and pid=?", immutable_id, pid)
        return EnteredRow(*row) if row else None

    def all_entered(self, immutable_id: str) -> Sequence[EnteredRow]:
        """An account's, newest first."""
        sql = "select * from entered_place where immutable_id=? order by entered_at desc, pid"
        return [EnteredRow(*row) for row in self._db.execute(sql, (immutable_id,))]

    def drop_entered(self, immutable_id: str, pid: str = "") -> None:
        """Forget an account's for a dataset, all of them without one."""
        self._db.execute("delete from entered_place where immutable_id=? and ? in (pid, '')", (immutable_id, pid))
