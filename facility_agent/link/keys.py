"""The agent's Ed25519 key: made once, kept in a file that only its user may read."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from facility_agent.link.settings import LinkMisconfigured


def load_or_create_key(path: Path) -> Ed25519PrivateKey:
    """The key in `path` (PKCS8 PEM); made with mode 0600 when there is no such file.

    Two processes that start at once end up with the same key. Raises LinkMisconfigured when others
    may read the file or it holds no such key.
    """
    if not path.exists():
        save_key(path, Ed25519PrivateKey.generate())
    return load_key(path)


def load_key(path: Path) -> Ed25519PrivateKey:
    """The key in `path`. Raises LinkMisconfigured when there is none or others may read it."""
    try:
        mode, pem = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        raise LinkMisconfigured(f"{path} cannot be read: {error.strerror}.") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise LinkMisconfigured(f"{path} may be read by others; run: chmod 600 {path}")
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise LinkMisconfigured(f"{path} holds no private key in PEM.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise LinkMisconfigured(f"{path} holds another kind of key; Ed25519 is needed.")
    return key


def public_text(key: Ed25519PrivateKey) -> str:
    """The public half as the centre's configuration holds it: base64 of the DER SubjectPublicKeyInfo."""
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def save_key(path: Path, key: Ed25519PrivateKey) -> None:
    """Writes it with mode 0600 unless there is a file. Raises OSError."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        # A hard link fails if somebody was faster, so a key that is already in use is never replaced.
        try:
            os.link(partial, path)
        except FileExistsError:
            return
    finally:
        partial.unlink(missing_ok=True)
