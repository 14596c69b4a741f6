"""The agent's side of enrolment: asks the centre for certificates. Keys are made here and never sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from random import SystemRandom
from typing import Any

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from facility_agent.link.identity import Identity, identity_of
from facility_agent.link.stream import open_channel
from shared.wire.addresses import parse_address
from shared.wire.enrolment import (
    ENROL,
    REASON,
    RECOVER,
    RENEW,
    SERVICE,
    Statement,
    Token,
    decode_enrolled,
    sign_statement,
)
from shared.wire.gen.parasol.enrolment.v1 import enrolment_pb2 as pb
from shared.wire.text import Malformed, plain, reason

_DEADLINE = 10.0
_TRIES = 4
_PASSING = frozenset({"UNREACHABLE", "BUSY"})


class EnrolmentFailed(Exception):
    """No certificate. `reason` is the centre's code, or UNREACHABLE; the message is one sentence for the operator."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


async def enrol(
    token: Token, key: Ed25519PrivateKey, tls_key: EllipticCurvePrivateKey, clock: Callable[[], float] = time.time
) -> Identity:
    """Spends a token. A lost answer is asked for again, with the same key. Raises EnrolmentFailed."""
    authorities = _pem(token.authorities)
    if authorities is None and not parse_address(token.hub).is_loopback:
        raise EnrolmentFailed("BAD_TOKEN", "This token names no authority for the hub; ask for another.")
    statement, signature = _stated(token.facility_id, "enrol", key, tls_key, clock)
    request = pb.EnrolRequest(secret=token.secret, statement=statement, signature=signature)
    data = request.SerializeToString()
    for left in reversed(range(_TRIES)):
        try:
            answer = await _call(token.hub, _credentials(authorities), ENROL, data)
            return _accepted(token.facility_id, token.hub, tls_key, answer)
        except EnrolmentFailed as error:
            if left == 0 or error.reason not in _PASSING:
                raise
        await asyncio.sleep(SystemRandom().uniform(0.2, 1.0))
    raise AssertionError("the last try returns or raises")


async def renew(identity: Identity, tls_key: EllipticCurvePrivateKey) -> Identity:
    """The next identity, asked for with the present one. Raises EnrolmentFailed."""
    credentials = grpc.ssl_channel_credentials(identity.authorities, identity.key, identity.chain())
    data = pb.RenewRequest(request=_request(tls_key)).SerializeToString()
    answer = await _call(identity.mutual, credentials, RENEW, data)
    return _accepted(identity.facility_id, identity.hub, tls_key, answer)


async def recover(
    identity: Identity, key: Ed25519PrivateKey, tls_key: EllipticCurvePrivateKey, clock: Callable[[], float]
) -> Identity:
    """The next identity after this one expired, asked for under the registered key. Raises EnrolmentFailed."""
    statement, signature = _stated(identity.facility_id, "recover", key, tls_key, clock)
    data = pb.RecoverRequest(statement=statement, signature=signature).SerializeToString()
    answer = await _call(identity.hub, _credentials(identity.authorities or None), RECOVER, data)
    return _accepted(identity.facility_id, identity.hub, tls_key, answer)


def _stated(
    facility_id: str, purpose: str, key: Ed25519PrivateKey, tls_key: EllipticCurvePrivateKey,
    clock: Callable[[], float],
) -> tuple[bytes, bytes]:  # fmt: skip
    public = key.public_key().public_bytes_raw()
    return sign_statement(Statement(facility_id, purpose, _request(tls_key), public, int(clock() * 1000)), key)


def _request(tls_key: EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "parasol agent")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(tls_key, SHA256())
    return request.public_bytes(Encoding.DER)


async def _call(target: str, credentials: Any, method: str, data: bytes) -> bytes:
    async with open_channel(target, credentials) as channel:
        try:
            return bytes(await channel.unary_unary(f"/{SERVICE}/{method}")(data, timeout=_DEADLINE))
        except grpc.aio.AioRpcError as error:
            raise _failure(target, error) from error


def _failure(target: str, error: grpc.aio.AioRpcError) -> EnrolmentFailed:
    trailing: Any = error.trailing_metadata()  # its published type is not iterable
    code = reason(next((str(value) for key, value in trailing or () if key == REASON), ""))
    if code:
        return EnrolmentFailed(code, plain(error.details() or code))
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return EnrolmentFailed(
            "UNREACHABLE",
            f"The hub at {target} cannot be reached, or its certificate is not from the pinned authority "
            "(or this machine's clock is far off).",
        )
    return EnrolmentFailed("FAILED", f"The hub at {target} does not enrol agents ({error.code().name}).")


def _accepted(facility_id: str, hub: str, tls_key: EllipticCurvePrivateKey, answer: bytes) -> Identity:
    try:
        return identity_of(facility_id, hub, tls_key, decode_enrolled(answer))
    except (Malformed, ValueError) as error:
        raise EnrolmentFailed("BAD_ANSWER", f"The centre's answer cannot be used: {error}") from error


def _credentials(authorities: bytes | None) -> Any:
    return None if authorities is None else grpc.ssl_channel_credentials(root_certificates=authorities)


def _pem(authorities: tuple[bytes, ...]) -> bytes | None:
    try:
        pems = [x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) for der in authorities]
    except ValueError as error:
        raise EnrolmentFailed("BAD_TOKEN", "This is no enrolment token; copy it whole.") from error
    return b"".join(pems) or None
