"""Short synchronous work on the database, from asynchronous code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar, cast

from channels.db import database_sync_to_async

P = ParamSpec("P")
T = TypeVar("T")


def in_database(work: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """`work` as a coroutine function that runs in Django's thread and returns its connection afterwards."""
    return cast(Callable[P, Awaitable[T]], database_sync_to_async(work))
