"""Datasets that are on their way back from the archive."""

from __future__ import annotations

from collections.abc import Sequence

from facility_agent.ports.store import RestoreRow
from facility_agent.store.tables import Tables


class RestoreTables(Tables):
    """Implements `ports.store.restores.RestoreRows`."""

    def put_restore(self, row: RestoreRow) -> None:
        """Watch a dataset."""
        self._db.execute("insert or ignore into restore values (?,?,?)", (row.pid, row.immutable_id, row.asked_at))

    def drop_restore(self, pid: str) -> None:
        """Watch it no more."""
        self._db.execute("delete from restore where pid=?", (pid,))

    def restores(self) -> Sequence[RestoreRow]:
        """All that are watched."""
        return [RestoreRow(*row) for row in self._db.execute("select * from restore order by asked_at, pid")]
