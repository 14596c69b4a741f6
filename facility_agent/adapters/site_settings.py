"""What the settings of systems behind HTTP have in common: an address, a secret's file, where data lie here."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from facility_agent.plugins import Fault

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.query or parts.fragment or parts.username or not parts.hostname:
        raise ValueError("an address like https://system.example.eu, without a name, a query or a fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError("https, or http on this machine alone: the password goes there")
    return value.rstrip("/")


def _template(value: str) -> str:
    parts = value.split("/")
    if "{proposal}" not in parts[-1] or "{proposal}" in "/".join(parts[:-1]) or {"", ".", ".."} & set(parts):
        raise ValueError("a relative path without `..` whose last part contains {proposal}")
    return value


Address = Annotated[str, AfterValidator(_address)]
"""Where secrets may be sent: https, or this machine."""
Template = Annotated[str, AfterValidator(_template)]
"""A proposal's folder below the data's root."""


def secret(path: Path) -> str:
    """The password. Raises OSError, ValueError when its file is missing, open to others or empty."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ValueError(f"{path} is open to other users")
    password = path.read_text().strip()
    if not password:
        raise ValueError(f"{path} is empty")
    return password


def system_faults(folder: Path, password_file: Path, ca_file: Path | None) -> Iterator[Fault]:
    """What keeps this site from asking the system; relative paths are below `folder`."""
    try:
        secret(folder / password_file)
    except (OSError, ValueError) as error:
        said = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        yield Fault("password_file", f"{said}.", "Put the functional account's password there, mode 0600.")
    if ca_file and not (folder / ca_file).is_file():
        yield Fault("ca_file", f"{folder / ca_file} is not a file.", "Put the CA's certificate there.")


def faults(folder: Path, password_file: Path, ca_file: Path | None, root: Path | None) -> Iterator[Fault]:
    """The same for a catalogue, whose data lie below `root` here."""
    yield from system_faults(folder, password_file, ca_file)
    if root is None:
        yield Fault(
            "root", "No data can be mounted in workspaces.", "Name the folder that holds the data.", fatal=False
        )
    elif not (folder / root).is_dir():
        yield Fault("root", f"{folder / root} is not a folder.", "Create it, mount it or mend the path.")
