"""Short synchronous work on the database, from asynchronous code; and the database's own clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar, cast

from channels.db import database_sync_to_async
from django.db import DatabaseError, connection
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
    """`work` as a coroutine function that runs in a thread and returns its connection afterwards.

    SQLite has one writer, so one thread serves it; PostgreSQL gets as many as the pool has connections.
    """
    if connection.vendor != "postgresql":
        return cast(Callable[P, Awaitable[T]], database_sync_to_async(work))
    return cast(
        Callable[P, Awaitable[T]], database_sync_to_async(work, thread_sensitive=False, executor=_executor())
    )


def _executor() -> ThreadPoolExecutor:
    global _threads
    if _threads is None:
        _threads = ThreadPoolExecutor(CONNECTIONS, "database")
    return _threads


class Outdated(Exception):
    """The database is older than this program, or cannot be used. The message says what to do."""


def judge_schema() -> None:
    """Whether the tables are those of this program. Raises Outdated."""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        raise Outdated(f"The database cannot be used: {str(error).splitlines()[0]}") from None
    finally:
        connection.close()
    if missing:
        raise Outdated("The database is older than this program: run central-portal migrate.")
