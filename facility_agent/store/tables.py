"""What every part of a transaction needs: one row, one insert."""

from __future__ import annotations

import sqlite3
from typing import Any


class Tables:
    """A connection inside a transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def touch(self) -> None:
        """Write something that changes nothing."""
        self._db.execute("update meta set value=value where key='boots'")

    def _one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._db.execute(sql, values).fetchone()
        return row

    def _put(self, table: str, *values: Any) -> None:
        marks = ",".join("?" * len(values))
        self._db.execute(f"insert or replace into {table} values ({marks})", values)  # noqa: S608 (our own names)

    def _end(self, where: str, *values: str) -> list[str]:
        passes = [row[0] for row in self._db.execute(f"select cookie_hash from pass where {where}", values)]  # noqa: S608
        for table in ("code", "door_code", "grant_", "session", "pass", "sign_on_token"):
            self._db.execute(f"delete from {table} where {where}", values)  # noqa: S608 (our own names)
        return passes
