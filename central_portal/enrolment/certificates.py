"""X.509 as Parasol uses it: P-256 throughout (gRPC's TLS takes no Ed25519), one URI that names an agent, short lives."""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from central_portal.link.ports import EnrolmentRefused

BACKDATED = 300.0
_HUBS_BACKDATED = 2 * 86_400.0
"""So that an agent whose clock is behind gets through to the hub, which can tell it so."""
_AUTHORITY_LIFE = 20 * 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class Signer:
    """A certificate authority: its key, and the certificate that others trust."""

    key: EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def trust_domain(self) -> str:
        """The federation's name in SPIFFE URIs."""
        return uri_of(self.certificate).removeprefix("spiffe://")


def spiffe_id(trust_domain: str, facility: str, number: int) -> str:
    """The name of a facility's n-th agent."""
    return f"spiffe://{trust_domain}/facility/{facility}/agent/{number}"


def uri_of(certificate: x509.Certificate) -> str:
    """The only URI that a certificate names, empty when there is none or another name beside it."""
    try:
        names = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return ""
    return names[0].value if len(names) == 1 and isinstance(names[0], x509.UniformResourceIdentifier) else ""


def serial_of(certificate: x509.Certificate) -> str:
    """The serial number as rows and people write it."""
    return f"{certificate.serial_number:x}"


def key_hash(key: EllipticCurvePublicKey) -> str:
    """Hex SHA-256 of the SubjectPublicKeyInfo."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def requested_key(request: bytes) -> EllipticCurvePublicKey:
    """The key of a PKCS #10 request; whatever else it asks for is ignored. Raises EnrolmentRefused."""
    try:
        csr = x509.load_der_x509_csr(request)
        key, signed = csr.public_key(), csr.is_signature_valid
    except Exception as error:  # the parser has more ways to dislike foreign bytes than it documents
        raise EnrolmentRefused("BAD_REQUEST", "The certificate request cannot be read.") from error
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise EnrolmentRefused("BAD_KEY", "A certificate is for a P-256 key; the request is for another kind.")
    if not signed:
        raise EnrolmentRefused("BAD_REQUEST", "The certificate request is not signed by its own key.")
    return key


def new_authority(trust_domain: str, now: float) -> Signer:
    """A certificate authority that can name agents of this federation alone."""
    key = generate_private_key(SECP256R1())
    name = _name(f"Parasol federation {trust_domain}"[:64])
    certificate = (
        _builder(name, name, key.public_key(), now - _HUBS_BACKDATED, now + _AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints([x509.UniformResourceIdentifier(trust_domain)], None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"spiffe://{trust_domain}")]),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    return Signer(key, certificate)


def agent_certificate(
    signer: Signer, key: EllipticCurvePublicKey, facility: str, number: int, now: float, life: float
) -> x509.Certificate:
    """A client certificate of an agent, good from a little ago for `life` seconds."""
    uri = x509.UniformResourceIdentifier(spiffe_id(signer.trust_domain, facility, number))
    return _leaf(signer, key, facility, uri, ExtendedKeyUsageOID.CLIENT_AUTH, now - BACKDATED, now + life)


def server_certificate(
    signer: Signer, key: EllipticCurvePublicKey, host: str, now: float, life: float
) -> x509.Certificate:
    """A server certificate of a hub that agents dial as `host`."""
    try:
        name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        name = x509.DNSName(host)
    purpose = ExtendedKeyUsageOID.SERVER_AUTH
    return _leaf(signer, key, host[:64], name, purpose, now - _HUBS_BACKDATED, now + life)


def _leaf(
    signer: Signer, key: EllipticCurvePublicKey, subject: str, name: x509.GeneralName,
    purpose: ObjectIdentifier, start: float, end: float,
) -> x509.Certificate:  # fmt: skip
    end = min(end, signer.certificate.not_valid_after_utc.timestamp())
    return (
        _builder(_name(subject), signer.certificate.subject, key, start, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
        .sign(signer.key, SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePublicKey, start: float, end: float
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime.fromtimestamp(start, dt.UTC))
        .not_valid_after(dt.datetime.fromtimestamp(end, dt.UTC))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
