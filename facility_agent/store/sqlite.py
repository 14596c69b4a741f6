"""The store on SQLite: WAL, synchronous=FULL, and one thread that commits once for all that waits."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from facility_agent.ports.store import Transaction, Unsure
from facility_agent.store.accounts import AccountTables
from facility_agent.store.browsers import BrowserTables
from facility_agent.store.database import Database, Unusable, is_certain, is_disk
from facility_agent.store.egress import EgressTables
from facility_agent.store.grants import GrantTables
from facility_agent.store.orders import OrderTables
from facility_agent.store.places import EnteredTables
from facility_agent.store.restores import RestoreTables
from facility_agent.store.tokens import TokenTables
from facility_agent.store.workspaces import WorkspaceTables
from shared.errors import BackendUnavailable

T = TypeVar("T")
GROUP = 64
WAITING = 4096


@dataclass(frozen=True, slots=True)
class _Work:
    run: Callable[[Transaction], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


@dataclass(frozen=True, slots=True)
class _Outcome:
    value: Any = None
    error: BaseException | None = None


class SqliteTransaction(
    AccountTables,
    GrantTables,
    BrowserTables,
    WorkspaceTables,
    OrderTables,
    RestoreTables,
    EnteredTables,
    EgressTables,
    TokenTables,
):
    """Implements `ports.store.Transaction`."""


class SqliteStore:
    """Implements `ports.store.Store`.

    The thread takes everything that waits, at most 64 works, runs each in a savepoint of one immediate
    transaction, commits once, and only then resolves them: 64 works cost one fsync. `committed` hears of each
    commit: how many works, and how many seconds it took.
    """

    def __init__(self, path: Path, committed: Callable[[int, float], None] = lambda size, seconds: None) -> None:
        self._database, self._committed = Database(path), committed
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._closing = self._committing = False
        self._thread = threading.Thread(target=self._serve, name="store", daemon=True)
        self._thread.start()

    @property
    def store_id(self) -> str:
        """Identifies this store; empty until it was opened."""
        return self._database.store_id

    @property
    def boot_counter(self) -> int:
        """How often an agent was started on this store; 0 until it was opened."""
        return self._database.boot_counter

    @property
    def fault(self) -> str:
        """What keeps it from writing, for the operator; empty when nothing does."""
        return self._database.fault

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in one transaction; its exception undoes it alone."""
        if self._closing or self._queue.qsize() >= WAITING:
            raise BackendUnavailable
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put(_Work(work, future, loop))
        return await future

    async def probe(self) -> None:
        """Open it when it is not, and write. Raises BackendUnavailable while that does not work."""
        await self.transact(lambda tx: tx.touch())  # type: ignore[attr-defined]

    def close(self) -> None:
        """Close after what is under way."""
        self._closing = True
        self._queue.put(None)
        self._thread.join(10)

    # --- the thread

    def _serve(self) -> None:
        more = True
        while more:
            group, more = self._next_group()
            if group:
                self._carry_out(group)
        self._database.close()

    def _next_group(self) -> tuple[list[_Work], bool]:
        """Waits for one work and takes those that wait behind it; False at the end."""
        group: list[_Work] = []
        work = self._queue.get()
        while work is not None:
            if not work.future.cancelled():
                group.append(work)
            if len(group) >= GROUP:
                return group, True
            try:
                work = self._queue.get_nowait()
            except queue.Empty:
                return group, True
        return group, False

    def _carry_out(self, group: Sequence[_Work]) -> None:
        started, self._committing = time.perf_counter(), False
        try:
            outcomes = self._commit(group)
        except Exception as error:  # noqa: BLE001 (the thread goes on, whatever the disk does)
            self._database.failed(error)
            unsure = self._committing and not is_certain(error)
            outcomes = [_Outcome(error=_refusal(unsure)) for _ in group]
        else:
            self._committed(len(group), time.perf_counter() - started)
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], _Outcome]]] = defaultdict(list)
        for work, outcome in zip(group, outcomes, strict=True):
            by_loop[work.loop].append((work.future, outcome))
        for loop, settled in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, settled)

    def _commit(self, group: Sequence[_Work]) -> list[_Outcome]:
        db = self._database.connection()
        before = db.total_changes
        db.execute("begin immediate")
        transaction = SqliteTransaction(db)
        outcomes = [_in_savepoint(db, transaction, work) for work in group]
        self._committing = True
        db.execute("commit")
        if db.total_changes != before:
            self._database.written()
        return outcomes


def _in_savepoint(db: sqlite3.Connection, transaction: SqliteTransaction, work: _Work) -> _Outcome:
    db.execute("savepoint work")
    try:
        value = work.run(transaction)
    except BaseException as error:
        if isinstance(error, sqlite3.Error) and is_disk(error):
            raise  # not this work's fault: nobody's work is done
        if not db.in_transaction:
            raise Unusable("SQLite gave a transaction up") from error
        db.execute("rollback to work")
        db.execute("release work")
        return _Outcome(error=error)
    db.execute("release work")
    return _Outcome(value)


def _refusal(unsure: bool) -> BackendUnavailable:
    error = BackendUnavailable("The facility cannot store anything at the moment; try again later.")
    error.__cause__ = Unsure() if unsure else None
    return error


def _resolve(settled: Sequence[tuple[asyncio.Future[Any], _Outcome]]) -> None:
    for future, outcome in settled:
        if future.cancelled():
            continue
        if outcome.error is None:
            future.set_result(outcome.value)
        else:
            future.set_exception(outcome.error)
