"""Enrolment on the wire: the token's text, signed statements, and the requests of parasol.enrolment.v1."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from google.protobuf.message import Message

from shared.facilities import is_facility_id
from shared.wire.addresses import parse_address
from shared.wire.gen.parasol.enrolment.v1 import enrolment_pb2 as pb
from shared.wire.parse import parse
from shared.wire.proof import b64, unb64
from shared.wire.text import Malformed

SERVICE = "parasol.enrolment.v1.Enrolment"
ENROL, RENEW, RECOVER = "Enrol", "Renew", "Recover"
REASON = "reason"
"""Where a refusal's stable code stands in the trailing metadata."""
SECRET_BYTES = 32
MESSAGE_BYTES = 64 * 1024
_PREFIX = "parasol-1-"
_CONTEXT = b"parasol enrolment v1\0"
_AUTHORITIES = 8
_CHECKSUM = 4
_UNREADABLE = "This is no enrolment token; copy it whole, from parasol-1- on."
M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Token:
    """The right to enrol `facility_id` once at `hub`, whose certificate is from one of `authorities` (DER)."""

    hub: str
    facility_id: str
    secret: bytes
    authorities: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"Token({self.hub!r}, {self.facility_id!r})"


@dataclass(frozen=True, slots=True)
class Statement:
    """What an agent says of itself under its registered key. `clock_ms` is its own clock."""

    facility_id: str
    purpose: str
    request: bytes
    public_key: bytes
    clock_ms: int


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The answer to all three requests. `mutual` is empty where sessions are opened by signed tokens."""

    certificate: bytes
    authorities: tuple[bytes, ...]
    mutual: str
    audience: str


def encode_token(token: Token) -> str:
    """The text that is handed over."""
    message = pb.Token(
        hub=token.hub, facility_id=token.facility_id, secret=token.secret, authorities=token.authorities
    )
    data = message.SerializeToString()
    return _PREFIX + b64(data + _checksum(data))


def decode_token(text: str) -> Token:
    """What a text says; spaces and line breaks in it do not matter. Raises Malformed with one sentence."""
    packed = "".join(text.split())
    if not packed.startswith(_PREFIX):
        raise Malformed(_UNREADABLE)
    try:
        data = unb64(packed.removeprefix(_PREFIX))
        if _checksum(data[:-_CHECKSUM]) != data[-_CHECKSUM:]:
            raise Malformed(_UNREADABLE)
        message = read(pb.Token, data[:-_CHECKSUM])
        parse_address(message.hub)
    except ValueError as error:
        raise Malformed(_UNREADABLE) from error
    if not is_facility_id(message.facility_id) or len(message.secret) != SECRET_BYTES:
        raise Malformed(_UNREADABLE)
    return Token(message.hub, message.facility_id, message.secret, tuple(message.authorities))


def sign_statement(statement: Statement, key: Ed25519PrivateKey) -> tuple[bytes, bytes]:
    """The bytes of a statement, and their signature."""
    data = pb.Statement(
        facility_id=statement.facility_id, purpose=statement.purpose, request=statement.request,
        public_key=statement.public_key, clock_ms=statement.clock_ms,
    ).SerializeToString()  # fmt: skip
    return data, key.sign(_CONTEXT + data)


def open_statement(data: bytes, signature: bytes, purpose: str) -> Statement:
    """The statement, when it is signed by the very key that it names. Raises Malformed with one sentence."""
    message = read(pb.Statement, data)
    try:
        Ed25519PublicKey.from_public_bytes(message.public_key).verify(signature, _CONTEXT + data)
    except (InvalidSignature, ValueError) as error:
        raise Malformed("The statement is not signed by the key that it names.") from error
    if message.purpose != purpose or not is_facility_id(message.facility_id):
        raise Malformed("The statement is for something else.")
    return Statement(message.facility_id, purpose, message.request, message.public_key, message.clock_ms)


def encode_enrolled(enrolled: Enrolled) -> bytes:
    """The message."""
    return pb.Enrolled(
        certificate=enrolled.certificate, authorities=enrolled.authorities, mutual=enrolled.mutual,
        audience=enrolled.audience,
    ).SerializeToString()  # fmt: skip


def decode_enrolled(data: bytes) -> Enrolled:
    """The answer. Raises Malformed."""
    message = read(pb.Enrolled, data)
    if len(message.authorities) > _AUTHORITIES or not message.certificate:
        raise Malformed("The centre's answer cannot be read.")
    try:
        if message.mutual:
            parse_address(message.mutual)
    except ValueError as error:
        raise Malformed("The centre's answer cannot be read.") from error
    return Enrolled(message.certificate, tuple(message.authorities), message.mutual, message.audience)


def _checksum(data: bytes) -> bytes:
    """Tells a token that was cut short or mistyped."""
    return hashlib.sha256(data).digest()[:_CHECKSUM]


def read(kind: type[M], data: bytes) -> M:
    """One of this contract's messages. Raises Malformed."""
    return parse(kind, data, MESSAGE_BYTES, 64)
