"""The feed's records in an SQLite file of their own: it can be lost, and then the centre reads everything anew."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from facility_agent.ports.feed import FeedCounts, FeedPage, FeedStore, Kept, Kind, Place
from shared.errors import BackendUnavailable

T = TypeVar("T")
_KEPT = 90 * 86_400.0
_TABLES = """
pragma journal_mode=wal; pragma synchronous=normal;
create table if not exists meta (key text primary key, value) without rowid;
create table if not exists record (
    kind text, pid text, number integer not null, look integer not null, digest blob, data blob not null, gone_at real,
    primary key (kind, pid)
);
create unique index if not exists record_number on record (number);
create index if not exists record_look on record (look) where gone_at is null;
create index if not exists record_here on record (kind) where gone_at is null;
insert or ignore into meta values ('number', 0), ('look', 0), ('dropped', 0), ('read_at', null);
"""
# A power cut may lose what was committed last, and its numbers would then be given again. So the feed gets a new id, and
# is read anew, whenever its file is opened after anything but a clean end: 'open' is set durably meanwhile.


class SqliteFeed(FeedStore):
    """One connection, used by one thread at a time."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path, self._clock, self._lock = path, clock, threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._id = ""

    async def begin(self) -> int:
        """See FeedStore."""
        return await self._run(lambda db: _next(db, "look"))

    async def see(self, look: int, records: Sequence[Kept]) -> None:
        """See FeedStore."""
        await self._run(lambda db: _see(db, look, records))

    async def unseen(self, look: int, most: int) -> Sequence[tuple[Kind, str]]:
        """See FeedStore."""
        sql = "select kind, pid from record where look<>? and gone_at is null limit ?"
        return await self._run(lambda db: [(Kind(kind), pid) for kind, pid in db.execute(sql, (look, most))])

    async def bury(self, look: int, records: Sequence[tuple[Kind, str]] | None) -> None:
        """See FeedStore."""
        await self._run(lambda db: _bury(db, look, records, self._clock()))

    async def finish(self, read_at: float) -> None:
        """See FeedStore."""

        def work(db: sqlite3.Connection) -> None:
            old = self._clock() - _KEPT
            dropped = db.execute("select max(number) from record where gone_at<?", (old,)).fetchone()[0]
            if dropped is not None:
                db.execute("delete from record where gone_at<?", (old,))
                db.execute("update meta set value=max(value, ?) where key='dropped'", (dropped,))
            db.execute("update meta set value=? where key='read_at'", (read_at,))

        await self._run(work)

    async def after(self, place: Place, most: int, most_bytes: int) -> FeedPage:
        """See FeedStore."""

        def work(db: sqlite3.Connection) -> FeedPage:
            meta = dict(db.execute("select key, value from meta").fetchall())
            newest, dropped = meta["number"], meta["dropped"]
            known = place.feed_id == self._id and max(place.number, place.begun) <= newest
            restart = not known or max(place.number, place.begun) < dropped
            last, begun = (0, dropped) if restart else (place.number, place.begun)
            found: list[Kept] = []
            size, more = 0, False
            rows = db.execute(
                "select number, kind, pid, data from record where number>? order by number limit ?",
                (last, most + 1),
            )
            for at, kind, pid, data in rows:
                size += len(data) + len(pid)
                if len(found) == most or (found and size > most_bytes):
                    more = True
                    break
                found.append(Kept(Kind(kind), pid, data))
                last = at
            # the last numbers may be those of tombstones that were dropped: who is at the end has them too
            there = Place(self._id, last, begun) if more else Place(self._id, newest)
            return FeedPage(found, there, more, restart, meta["read_at"])

        return await self._run(work)

    async def counts(self) -> FeedCounts:
        """See FeedStore."""

        def work(db: sqlite3.Connection) -> FeedCounts:
            sql = "select kind, count(*) from record indexed by record_here where gone_at is null group by kind"
            here = dict(db.execute(sql).fetchall())
            read_at = db.execute("select value from meta where key='read_at'").fetchone()[0]
            return FeedCounts(here.get(Kind.DATASET, 0), here.get(Kind.PROPOSAL, 0), read_at)

        return await self._run(work)

    async def close(self) -> None:
        """Close the file; afterwards it is known to have ended cleanly."""

        def work() -> None:
            with self._lock:
                if self._db is not None:
                    with suppress(sqlite3.Error):
                        self._db.execute("delete from meta where key='open'")
                    self._db.close()
                    self._db = None

        await asyncio.to_thread(work)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.to_thread(self._in_transaction, work)

    def _in_transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            try:
                db = self._db or self._open()
                db.execute("begin immediate")
                done = work(db)
                db.execute("commit")
            except sqlite3.Error as error:
                self._give_up()
                raise BackendUnavailable("The feed's file cannot be used at the moment.") from error
            except BaseException:
                self._give_up()
                raise
            return done

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, timeout=5, check_same_thread=False)
        try:
            self._path.chmod(0o600)
            db.executescript(_TABLES)
            if db.execute("select 1 from meta where key='open'").fetchone():
                db.execute("delete from meta where key='id'")
            db.execute("insert or ignore into meta values ('id', ?)", (uuid.uuid4().hex,))
            db.execute("pragma synchronous=full")
            db.execute("insert or replace into meta values ('open', 1)")
            db.execute("pragma synchronous=normal")
            self._id = db.execute("select value from meta where key='id'").fetchone()[0]
        except BaseException:
            db.close()
            raise
        self._db = db
        return db

    def _give_up(self) -> None:
        """The next use opens the file anew."""
        db, self._db = self._db, None
        if db is not None:
            with suppress(sqlite3.Error):
                db.close()


def _next(db: sqlite3.Connection, key: str) -> int:
    number: int = db.execute("update meta set value=value+1 where key=? returning value", (key,)).fetchone()[0]
    return number


def _see(db: sqlite3.Connection, look: int, records: Sequence[Kept]) -> None:
    for record in records:
        digest = hashlib.blake2b(record.data, digest_size=16).digest()
        same = "update record set look=? where kind=? and pid=? and digest=? and gone_at is null"
        if db.execute(same, (look, record.kind, record.pid, digest)).rowcount:
            continue
        row = (record.kind, record.pid, _next(db, "number"), look, digest, record.data)
        db.execute("insert or replace into record values (?, ?, ?, ?, ?, ?, null)", row)


def _bury(db: sqlite3.Connection, look: int, records: Sequence[tuple[Kind, str]] | None, now: float) -> None:
    if records is None:
        sql = "select kind, pid from record where look<>? and gone_at is null"
        records = db.execute(sql, (look,)).fetchall()
    for kind, pid in records:
        sql = "update record set number=?, digest=null, data=x'', gone_at=? where kind=? and pid=? and gone_at is null"
        db.execute(sql, (_next(db, "number"), now, kind, pid))
