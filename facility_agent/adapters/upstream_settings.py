"""Settings that every system has which is asked over HTTP: its address, and a secret's file."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def base(value: str) -> str:
    """An address without query and credentials. Raises ValueError, also for http beyond this machine."""
    parts = urlsplit(value)
    if parts.query or parts.fragment or parts.username or not parts.hostname:
        raise ValueError("an address like https://system.example.eu, without query and credentials")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError("https, or http on this machine alone: the password goes there")
    return value.rstrip("/")


Base = Annotated[str, AfterValidator(base)]


def secret(path: Path) -> str:
    """The password. Raises OSError, ValueError when its file is missing, open to others or empty."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ValueError(f"{path} is open to other users")
    password = path.read_text().strip()
    if not password:
        raise ValueError(f"{path} is empty")
    return password
