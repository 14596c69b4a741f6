"""The relay's key: made once, kept in a file that only the centre's user may read."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

BYTES = 32


class KeyFileRefused(ValueError):
    """The key cannot be used. The message says what to change."""


def load_or_make_key(path: Path, *, make: bool) -> bytes:
    """The key in `path`; with `make` a missing one is made. Processes that start at once get the same.

    Raises KeyFileRefused when it is missing, when others may read it, or when it is too short to be a key.
    """
    if make and not path.exists():
        _make(path)
    try:
        mode, text = path.stat().st_mode, path.read_text("ascii").strip()
    except OSError as error:
        raise KeyFileRefused(f"The relay's key {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise KeyFileRefused(f"The relay's key {path} holds no hexadecimal digits.") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyFileRefused(f"The relay's key may be read by others; run: chmod 600 {path}")
    try:
        key = bytes.fromhex(text)
    except ValueError:
        raise KeyFileRefused(f"The relay's key {path} holds no hexadecimal digits.") from None
    if len(key) < BYTES:
        raise KeyFileRefused(f"The relay's key {path} is too short; make one with: openssl rand -hex 32")
    return key


def _make(path: Path) -> None:
    """Written whole before it has its name, which the first of several takes."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(partial, path)
    except OSError as error:
        raise KeyFileRefused(f"The relay's key {path} cannot be made: {error.strerror}.") from None
    finally:
        partial.unlink(missing_ok=True)
