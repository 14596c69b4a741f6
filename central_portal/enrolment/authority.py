"""The centre's certificate authority in its data folder: one file with key and certificates, made once."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from central_portal.enrolment.certificates import Signer, new_authority, server_certificate
from central_portal.link.ports import ServerIdentity
from central_portal.settings import CentreSettings, SettingsError

FILE = "authority.pem"
_SERVER_LIFE = 14 * 86_400.0


def trust_domain_of(origin: str) -> str:
    """The federation's name in SPIFFE URIs: the portal's host, as it was when the authority was made."""
    host = urlsplit(origin).hostname or ""
    return "parasol.invalid" if ":" in host else host.lower()


class Authority:
    """Signs agents' and hubs' certificates. Opens nothing until it is needed; implements `link.ports.HubAuthority`.

    The file's first certificate belongs to its key; agents and hubs trust the others as well, so that an
    authority can be replaced without a break. Methods raise SettingsError when the file cannot be used.
    """

    def __init__(self, folder: Path, trust_domain: str, clock: Callable[[], float] = time.time) -> None:
        self._path, self._trust_domain, self._clock = folder / FILE, trust_domain, clock

    @cached_property
    def signer(self) -> Signer:
        """Key and certificate, made now when there are none."""
        return self._opened[0]

    @property
    def certificates(self) -> list[x509.Certificate]:
        """All that are trusted, the signer's first."""
        return self._opened[1]

    def trust(self) -> bytes:
        """The same, PEM."""
        return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self.certificates)

    def server_identity(self, host: str) -> ServerIdentity:
        """A fresh key and certificate for a hub that agents dial as `host`; to be renewed at half its life."""
        key, now = generate_private_key(SECP256R1()), self._clock()
        certificate = server_certificate(self.signer, key.public_key(), host, now, _SERVER_LIFE)
        return ServerIdentity(_pem(key), certificate.public_bytes(Encoding.PEM), now + _SERVER_LIFE / 2)

    @cached_property
    def _opened(self) -> tuple[Signer, list[x509.Certificate]]:
        try:
            if not self._path.exists():
                self._create()
            mode, pem = self._path.stat().st_mode, self._path.read_bytes()
        except OSError as error:
            raise SettingsError(f"{self._path}: {error.strerror}") from None
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SettingsError(f"{self._path} may be read by others; run: chmod 600 {self._path}")
        try:
            key, certificates = load_pem_private_key(pem, None), x509.load_pem_x509_certificates(pem)
        except (ValueError, TypeError):
            raise SettingsError(f"{self._path} holds no key and certificate in PEM") from None
        if not isinstance(key, EllipticCurvePrivateKey) or certificates[0].public_key() != key.public_key():
            raise SettingsError(f"{self._path}: the first certificate does not belong to the key")
        return Signer(key, certificates[0]), certificates

    def _create(self) -> None:
        made = new_authority(self._trust_domain, self._clock())
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = self._path.with_name(f".{FILE}.{os.getpid()}")
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_pem(made.key) + made.certificate.public_bytes(Encoding.PEM))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(partial, self._path)  # fails if another process was faster: then its authority is the one
            except FileExistsError:
                return
        finally:
            partial.unlink(missing_ok=True)


def authority_of(settings: CentreSettings) -> Authority:
    """The authority of this centre; opens nothing yet."""
    return Authority(settings.data, trust_domain_of(settings.origin))


def hub_authorities(settings: CentreSettings, authority: Authority) -> tuple[bytes, ...]:
    """The authorities (DER) whose word on the hub's identity agents take; none for plaintext. Raises SettingsError."""
    if settings.hub_ca is not None:
        found = _read(settings.hub_ca)
    elif settings.hub_plaintext:
        found = []
    elif settings.hub_certificate is not None:
        found = [certificate for certificate in _read(settings.hub_certificate)[1:] if _is_authority(certificate)]
        if not found:
            raise SettingsError("set PARASOL_HUB_CA to the authority that signed PARASOL_HUB_CERTIFICATE")
    else:
        found = authority.certificates
    return tuple(certificate.public_bytes(Encoding.DER) for certificate in found)


def _read(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise SettingsError(f"{path} holds no certificate in PEM") from None


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _pem(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
