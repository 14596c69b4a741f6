"""Django's description of the centre's database: PostgreSQL by its URL, else SQLite in the data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CONNECTIONS = 8
"""Of one process, beside that of its writer; each carries one short transaction at a time."""

CONNECTION = {
    "application_name": "parasol",
    "connect_timeout": 5,
    # A server that is gone without a word is noticed in half a minute, not in hours.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    # A process of ours that freezes amid a transaction must not keep the rows that it has locked.
    "options": "-c idle_in_transaction_session_timeout=15000",
}
"""What `PARASOL_DATABASE` may say otherwise: see libpq's parameters."""

SQLITE = {
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    "timeout": 5,
}


def database_table(url: str, password_file: Path | None, data: Path) -> dict[str, Any]:
    """The table `DATABASES["default"]`. Raises ValueError with one sentence; it never shows a password."""
    if not url:
        if password_file is not None:
            raise ValueError("PARASOL_DATABASE_PASSWORD_FILE is for PARASOL_DATABASE, which is empty")
        # Kept open by each of the few threads that use it: to open it costs ten times what is read.
        file = data / "centre.sqlite3"
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": file, "CONN_MAX_AGE": None, "OPTIONS": SQLITE}
    given = _read_url(url)
    # Threads come and go, so the pool is the one that keeps connections; Django must not keep any (CONN_MAX_AGE 0),
    # and looks at each before its use, or a restart of PostgreSQL would cost an error per pooled connection.
    pool = {"min_size": 1, "max_size": CONNECTIONS + 1, "timeout": 4.0, "max_idle": 60.0, "reconnect_timeout": 3.0}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": given.pop("dbname"),
        "USER": given.pop("user", ""),
        "PASSWORD": _password(password_file),
        "HOST": given.pop("host", ""),
        "PORT": given.pop("port", ""),
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {**CONNECTION, **given, "pool": pool},
    }


def _read_url(url: str) -> dict[str, Any]:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError("must be postgresql://user@host:port/name, or empty for SQLite")
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        raise ValueError("cannot be read; write postgresql://user@host:port/name") from None
    if "password" in given:
        raise ValueError("must not hold the password; name its file in PARASOL_DATABASE_PASSWORD_FILE")
    if not given.get("dbname"):
        raise ValueError("must name the database: postgresql://user@host:port/name")
    return dict(given)


def _password(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        password = file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"the password cannot be read from {file}") from None
    if not password:
        raise ValueError(f"{file} is empty; it holds the database's password")
    return password
