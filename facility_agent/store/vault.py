"""Secrets are sealed by AES-GCM under a key file that is not in the database or its backups."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.errors import BackendError

_NONCE = 12


class KeyFileVault:
    """Implements `ports.store.Vault`. Makes the key file (0600) when there is none."""

    def __init__(self, path: Path) -> None:
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(handle, "wb") as file:
                file.write(AESGCM.generate_key(256))
                file.flush()
                os.fsync(file.fileno())
        if path.stat().st_mode & 0o077:
            raise BackendError("The vault's key file is open to others; make it 0600.")
        self._key = AESGCM(path.read_bytes())

    def seal(self, label: str, secret: bytes) -> bytes:
        """A box for this label."""
        nonce = os.urandom(_NONCE)
        return nonce + self._key.encrypt(nonce, secret, label.encode())

    def unseal(self, label: str, box: bytes) -> bytes:
        """What is in it. Raises BackendError."""
        try:
            return self._key.decrypt(box[:_NONCE], box[_NONCE:], label.encode())
        except InvalidTag as error:
            raise BackendError("A stored secret cannot be opened with this key file.") from error
