"""The store's file: opened when it can be, given up after a fault, opened again later. Used by one thread only."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import uuid
from contextlib import suppress
from pathlib import Path

from facility_agent.store.schema import STEPS

log = logging.getLogger(__name__)

_DISK = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk fails",
    sqlite3.SQLITE_CORRUPT: "its content is damaged: restore it from a backup",
    sqlite3.SQLITE_NOTADB: "its content is damaged: restore it from a backup",
    sqlite3.SQLITE_READONLY: "it may not be written",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_PERM: "it may not be opened",
    sqlite3.SQLITE_BUSY: "another process holds it",
    sqlite3.SQLITE_LOCKED: "another process holds it",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
}
_CERTAIN = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY)
"""After these a commit certainly did not happen; after others it may be found done when the file is read again."""


class Unusable(Exception):
    """The file cannot be used now. The message says why, to the operator."""


def is_disk(error: sqlite3.Error) -> bool:
    """Whether this is the disk's fault and not one statement's."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DISK


def is_certain(error: Exception) -> bool:
    """Whether nothing at all was committed when a commit failed like this."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _CERTAIN


class Database:
    """`store_id` is empty and `boot_counter` 0 until it was opened once, which counts one boot.

    `fault` says what is wrong with it, empty while a write works. A lock beside the file keeps a second agent
    away from it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._file: tuple[int, int] | None = None
        self.store_id, self.boot_counter, self.fault = "", 0, ""

    def connection(self) -> sqlite3.Connection:
        """The open connection. Raises Unusable."""
        if self._file is not None and self._stamp() != self._file:
            # Not even opened: SQLite would play the journal of the lost file into the one that lies there now.
            self._close()
            raise Unusable("its file was removed or replaced: put it back, or restart the agent")
        if self._db is None:
            try:
                self._hold()
                self._db = self._open()
            except sqlite3.Error as error:
                raise Unusable(_says(error)) from error
            except OSError as error:
                raise Unusable("it may not be opened") from error
            self._file = self._file or self._stamp()
        return self._db

    def failed(self, error: Exception) -> None:
        """A transaction could not be carried out: undo it, and open the file anew unless it is only full."""
        says = str(error) if isinstance(error, Unusable) else _says(error)
        if says != self.fault:
            log.error("The store cannot be used, so orders are refused: %s.", says)
        self.fault = says
        if self._db is None:
            return
        with suppress(sqlite3.Error):
            self._db.execute("rollback")
        if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_FULL:
            self._close()

    def written(self) -> None:
        """A write was committed."""
        if self.fault:
            log.warning("The store can be used again.")
        self.fault = ""

    def close(self) -> None:
        """Close it for good."""
        self._close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _hold(self) -> None:
        if self._lock is not None:
            return
        lock = os.open(self._path.with_name(self._path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise Unusable("another agent uses it") from None
        self._lock = lock

    def _close(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
        self._db = None

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)  # noqa: PTH116 (once a commit: no Path in between)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _open(self) -> sqlite3.Connection:
        mode = "rw" if self.store_id else "rwc"  # what vanished under a running agent is not made anew
        db = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None)
        try:
            self._path.chmod(0o600)
            db.executescript("pragma busy_timeout=5000; pragma journal_mode=wal; pragma synchronous=full;")
            _migrate(db)
            self._identify(db)
        except BaseException:
            db.close()
            raise
        return db

    def _identify(self, db: sqlite3.Connection) -> None:
        if self.store_id:
            return
        db.execute("begin immediate")
        db.execute("insert or ignore into meta values ('store_id', ?)", (str(uuid.uuid4()),))
        db.execute("insert or ignore into meta values ('boots', '0')")
        db.execute("update meta set value = value + 1 where key = 'boots'")
        rows = dict(db.execute("select key, value from meta").fetchall())
        db.execute("commit")
        self.store_id, self.boot_counter = rows["store_id"], int(rows["boots"])


AHEAD = 2**21
"""More changes than a workspace ever sees, and small enough for hundreds of restorations."""


def renew_store_id(path: Path) -> str:
    """Gives a store that was restored from a backup a new identity, and returns it. Raises Unusable.

    What it says of its workspaces counts as newer than what the lost one had said. A run that was being started as
    the backup was made is forgotten: it was started since, and must not be started again. Refuses beside a journal:
    it is that of the lost store, and SQLite would play it into the restored one.
    """
    journal = path.with_name(path.name + "-wal")
    if journal.exists():
        raise Unusable(
            f"stop the agent, and remove {journal.name} and {path.name}-shm, which belong to the lost store"
        )
    database = Database(path)
    try:
        db = database.connection()
        store_id = str(uuid.uuid4())
        db.execute("begin immediate")
        db.execute("update meta set value=? where key='store_id'", (store_id,))
        db.execute("delete from workspace where state='STARTING' and handle=''")
        db.execute("update workspace set sequence=sequence+?", (AHEAD,))
        db.execute("commit")
        return store_id
    finally:
        database.close()


def _migrate(db: sqlite3.Connection) -> None:
    done = db.execute("pragma user_version").fetchone()[0]
    if done > len(STEPS):
        raise Unusable("it was written by a newer version of the agent")
    for number, step in enumerate(STEPS[done:], done + 1):
        db.executescript(f"begin immediate; {step}; pragma user_version={number}; commit;")


def _says(error: Exception) -> str:
    return _DISK.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "SQLite fails")
