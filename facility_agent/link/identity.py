"""What an enrolment left at the site: one private file with the key, the certificate, and whom to trust for the hub.

PEM, with the addresses as explanatory text before it (RFC 7468), so that usual tools read it and one rename replaces
all of it at once. `identity.pem` is what sessions are opened with; `identity.next.pem` is newer and not yet used.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from facility_agent.link.settings import LinkMisconfigured
from shared.wire.addresses import parse_address
from shared.wire.enrolment import Enrolled

CURRENT, NEXT = "identity.pem", "identity.next.pem"
_LINES = ("facility", "hub", "mutual", "audience")


@dataclass(frozen=True, slots=True)
class Identity:
    """An enrolled agent. Sessions go to `mutual` with the certificate, or, when it is empty, to `hub` with tokens.

    `authorities` (PEM) are trusted for the hub; without them the link is plaintext, on this machine.
    """

    facility_id: str
    hub: str
    mutual: str
    audience: str
    key: bytes
    certificate: x509.Certificate
    authorities: bytes

    def __repr__(self) -> str:
        return f"Identity({self.name!r})"

    @property
    def name(self) -> str:
        """The SPIFFE URI in the certificate, empty when there is none."""
        try:
            names = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return ""
        return next(iter(names.get_values_for_type(x509.UniformResourceIdentifier)), "")

    @property
    def begins(self) -> float:
        """POSIX seconds."""
        return self.certificate.not_valid_before_utc.timestamp()

    @property
    def ends(self) -> float:
        """POSIX seconds."""
        return self.certificate.not_valid_after_utc.timestamp()

    def chain(self) -> bytes:
        """The certificate, PEM."""
        return self.certificate.public_bytes(Encoding.PEM)


def identity_of(facility_id: str, hub: str, key: EllipticCurvePrivateKey, answer: Enrolled) -> Identity:
    """What the centre gave, when it fits the key and this facility. Raises ValueError with one sentence."""
    certificate = x509.load_der_x509_certificate(answer.certificate)
    authorities = [x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) for der in answer.authorities]
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    made = Identity(facility_id, hub, answer.mutual, answer.audience, pem, certificate, b"".join(authorities))
    if certificate.public_key() != key.public_key() or f"/facility/{facility_id}/agent/" not in made.name:
        raise ValueError("The centre's certificate is for another agent.")
    if not authorities and (made.mutual or not parse_address(hub).is_loopback):
        raise ValueError("The centre names no authority for its hub.")
    return made


def read_identity(path: Path) -> Identity | None:
    """The identity in a file, None when there is no such file. Raises LinkMisconfigured."""
    try:
        mode, pem = path.stat().st_mode, path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LinkMisconfigured(f"{path} cannot be read: {error.strerror}.") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise LinkMisconfigured(f"{path} may be read by others; run: chmod 600 {path}")
    try:
        text, _, _ = pem.decode("ascii").partition("-----BEGIN")
        said = dict(line.split(": ", 1) for line in text.splitlines())
        key = load_pem_private_key(pem, None)
        certificates = x509.load_pem_x509_certificates(pem)
        if not isinstance(key, EllipticCurvePrivateKey) or key.public_key() != certificates[0].public_key():
            raise ValueError("key and certificate do not belong together")
        facility, hub, mutual, audience = (said[name].strip() for name in _LINES)
    except (ValueError, KeyError, TypeError) as error:
        raise LinkMisconfigured(f"{path} is damaged; enrol again.") from error
    authorities = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates[1:])
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Identity(facility, hub, mutual, audience, private, certificates[0], authorities)


def write_identity(path: Path, identity: Identity) -> None:
    """Puts it in place of what was there, at once and durably, for this user alone. Raises OSError."""
    said = (identity.facility_id, identity.hub, identity.mutual, identity.audience)
    head = "".join(f"{name}: {value}\n" for name, value in zip(_LINES, said, strict=True))
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(head.encode() + identity.key + identity.chain() + identity.authorities)
            file.flush()
            os.fsync(file.fileno())
        replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def replace(source: Path, target: Path) -> None:
    """Renames durably. Raises OSError."""
    source.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
