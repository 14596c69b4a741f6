"""Short synchronous work on the database, from asynchronous code; and the database's own clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast

from channels.db import database_sync_to_async
from django.db import DatabaseError, close_old_connections, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import FloatField, Func

from central_portal.django_database import CONNECTIONS

P = ParamSpec("P")
T = TypeVar("T")


class DatabaseClock(Func):
    """The database's time in POSIX seconds: the only clock that several processes have in common."""

    output_field = FloatField()
    POSTGRESQL = "EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP())::double precision"
    SQLITE = "((julianday('now') - 2440587.5) * 86400.0)"

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, tuple[Any, ...]]:
        """For PostgreSQL."""
        return self.POSTGRESQL, ()

    def as_sqlite(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, tuple[Any, ...]]:
        """For SQLite."""
        return self.SQLITE, ()


_threads: ThreadPoolExecutor | None = None


def in_database(work: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """`work` as a coroutine function that runs in a thread and gives its connection back afterwards.

    SQLite has one writer, so one thread serves it; PostgreSQL gets as many as its pool has connections.
    """
    if connection.vendor != "postgresql":
        return cast(Callable[P, Awaitable[T]], database_sync_to_async(work))

    def borrowed(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return work(*args, **kwargs)
        finally:
            close_old_connections()  # into the pool: whoever forgets this empties it

    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        # What channels' wrapper does, without its carrying of context to and fro: a quarter of a read's CPU.
        return await asyncio.get_running_loop().run_in_executor(_executor(), partial(borrowed, *args, **kwargs))

    return call


def _executor() -> ThreadPoolExecutor:
    global _threads
    if _threads is None:
        _threads = ThreadPoolExecutor(CONNECTIONS, "database")
    return _threads


class Unusable(Exception):
    """The database is away, or older than this program. The message says what to do."""


def why(error: DatabaseError) -> str:
    """One sentence on what keeps the database away; the pool's own error says only that it waited."""
    cause: Exception = error
    backend: Any = connection
    if backend.vendor == "postgresql":
        try:
            backend.Database.connect(**backend.get_connection_params()).close()
        except backend.Database.Error as refused:
            cause = refused
    return f"The database cannot be used: {str(cause).splitlines()[0]}"


def judge_schema() -> None:
    """Whether the tables are those of this program. Raises Unusable."""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        raise Unusable(why(error)) from None
    finally:
        connection.close()
    if missing:
        raise Unusable("The database is older than this program: run central-portal migrate.")
