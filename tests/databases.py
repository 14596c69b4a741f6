"""Lets a test's Django stand on another database than the run's SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services import Postgres


@contextmanager
def django_on(server: Postgres, name: str) -> Iterator[str]:
    """A new database of `server`, migrated; every thread's Django uses it meanwhile. Gives its URL."""
    from asgiref.local import Local
    from django.core.management import call_command
    from django.db import connections

    from central_portal.django_database import database_table

    url = server.database(name)
    settings, known = connections.settings, connections._connections
    connections.__dict__["settings"] = connections.configure_settings(
        {"default": database_table(url, None, Path("/nowhere"))}
    )
    connections._connections = Local(connections.thread_critical)
    try:
        call_command("migrate", interactive=False, verbosity=0)
        yield url
    finally:
        connections["default"].close()
        connections["default"].close_pool()
        connections.__dict__["settings"], connections._connections = settings, known
