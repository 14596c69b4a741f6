"""Who is not what they say gets no certificate and no session, and nothing comes of the try."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from central_portal.enrolment import operate
from central_portal.enrolment.authority import Authority
from central_portal.enrolment.certificates import Signer, agent_certificate, new_authority, server_certificate
from facility_agent.link import enrolment
from facility_agent.link.enrolment import EnrolmentFailed
from facility_agent.link.identity import Identity
from facility_agent.link.stream import open_channel
from shared.wire.enrolment import ENROL, RECOVER, RENEW, SERVICE, Statement, sign_statement
from shared.wire.gen.parasol.enrolment.v1 import enrolment_pb2 as pb
from tests.enrolment_scene import DAY, Centre, certificates_of, new_key, open_centre
from tests.link_scene import ending, hello

pytestmark = pytest.mark.usefixtures("database")
KEY = ed25519.Ed25519PrivateKey.generate()


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Centre]:
    async with open_centre(tmp_path) as centre:
        yield centre


def request_of(key: Any, *names: x509.GeneralName) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "beta")])
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(usage, critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


def stated(facility: str, request: bytes, *, purpose: str = "enrol", key: Any = KEY) -> tuple[bytes, bytes]:
    public = key.public_key().public_bytes_raw()
    return sign_statement(Statement(facility, purpose, request, public, int(time.time() * 1000)), key)


async def ask(centre: Centre, method: str, data: bytes, identity: Identity | None = None) -> pb.Enrolled:
    """One call by hand at the open port, or with an identity at the other. Raises AioRpcError."""
    if identity is None:
        port, credentials = centre.hub.port, grpc.ssl_channel_credentials(centre.authority.trust())
    else:
        port = centre.hub.mutual_port
        credentials = grpc.ssl_channel_credentials(identity.authorities, identity.key, identity.chain())
    async with open_channel(f"127.0.0.1:{port}", credentials) as channel:
        return pb.Enrolled.FromString(await channel.unary_unary(f"/{SERVICE}/{method}")(data, timeout=10))


async def enrol_by_hand(centre: Centre, request: bytes, **how: Any) -> pb.Enrolled:
    statement, signature = stated(how.pop("facility", centre.alpha), request, **how)
    secret = (await centre.token()).secret
    asked = pb.EnrolRequest(secret=secret, statement=statement, signature=signature)
    return await ask(centre, ENROL, asked.SerializeToString())


async def nothing_issued(centre: Centre) -> None:
    assert await centre.do(certificates_of, centre.alpha) == []
    assert await centre.do(certificates_of, centre.beta) == []
    assert centre.events.seen == []


def reason_of(error: grpc.aio.AioRpcError) -> str:
    trailing: Any = error.trailing_metadata()
    return dict(trailing).get("reason", "")


# --- tokens


async def test_a_token_is_good_once(centre: Centre) -> None:
    token, tls_key = await centre.token(), new_key()
    first = await enrolment.enrol(token, KEY, tls_key)
    with pytest.raises(EnrolmentFailed, match="This token has been used; ask for a new one") as told:
        await enrolment.enrol(token, ed25519.Ed25519PrivateKey.generate(), new_key())
    assert told.value.reason == "TOKEN_USED"
    again = await enrolment.enrol(token, KEY, tls_key)
    assert again.certificate == first.certificate, "its own agent's lost answer is given again"
    assert len(await centre.do(certificates_of, centre.alpha)) == 1


async def test_a_token_is_good_for_an_hour(centre: Centre) -> None:
    token = await centre.token()
    centre.clock.ahead = 3601.0
    with pytest.raises(EnrolmentFailed, match="This token has expired; ask for a new one"):
        await enrolment.enrol(token, KEY, new_key(), centre.clock)
    await nothing_issued(centre)


async def test_a_token_is_good_for_its_facility_alone(centre: Centre) -> None:
    token = replace(await centre.token(), facility_id=centre.beta)
    with pytest.raises(EnrolmentFailed, match="This token is for another facility"):
        await enrolment.enrol(token, KEY, new_key())
    await nothing_issued(centre)


async def test_a_guessed_token_is_unknown_and_a_revoked_facilitys_tokens_are_gone(centre: Centre) -> None:
    token = await centre.token()
    with pytest.raises(EnrolmentFailed, match="This token is not known"):
        await enrolment.enrol(replace(token, secret=bytes(32)), KEY, new_key())
    await centre.do(operate.revoke, centre.alpha, None, centre.clock())
    with pytest.raises(EnrolmentFailed, match="This token is not known"):
        await enrolment.enrol(token, KEY, new_key())
    await nothing_issued(centre)


async def test_a_facility_that_is_switched_off_or_unknown_enrols_nobody(centre: Centre) -> None:
    token = await centre.token()
    await centre.do(operate.switch, centre.federation, centre.alpha, enabled=False)
    with pytest.raises(EnrolmentFailed, match="switched off"):
        await enrolment.enrol(token, KEY, new_key())
    with pytest.raises(EnrolmentFailed, match="does not know this facility"):
        await enrolment.enrol(replace(token, facility_id="gamma"), KEY, new_key())
    await nothing_issued(centre)


async def test_only_a_hash_of_a_tokens_secret_is_stored(centre: Centre, database: Path) -> None:
    token = await centre.token()
    await enrolment.enrol(token, KEY, new_key())
    stored = b"".join(path.read_bytes() for path in database.glob("centre.sqlite3*"))
    assert token.secret not in stored
    assert token.secret.hex().encode() not in stored
    assert centre.alpha.encode() in stored


async def test_another_hub_hears_no_secret(centre: Centre, tmp_path: Path) -> None:
    """Somebody in between with a certificate of an authority that the token does not name."""
    token = await centre.token()
    other = tmp_path / "other"
    strangers = Authority(other, "portal.example.eu").certificates[0].public_bytes(Encoding.DER)
    with pytest.raises(EnrolmentFailed, match="its certificate is not from the pinned authority"):
        await enrolment.enrol(replace(token, authorities=(strangers,)), KEY, new_key())
    await nothing_issued(centre)


async def test_a_token_without_an_authority_is_never_used_in_the_open(centre: Centre) -> None:
    token = replace(await centre.token(), hub="192.0.2.1:7443", authorities=())
    with pytest.raises(EnrolmentFailed, match="names no authority"):
        await enrolment.enrol(token, KEY, new_key())


# --- requests


async def test_names_in_a_request_are_ignored(centre: Centre) -> None:
    names = [
        x509.UniformResourceIdentifier(f"spiffe://portal.example.eu/facility/{centre.beta}/agent/1"),
        x509.DNSName("hub.example.eu"),
    ]
    answer = await enrol_by_hand(centre, request_of(new_key(), *names))
    made = x509.load_der_x509_certificate(answer.certificate)
    extensions = made.extensions
    san = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(san) == [
        x509.UniformResourceIdentifier(f"spiffe://portal.example.eu/facility/{centre.alpha}/agent/1")
    ]
    usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert made.not_valid_after_utc - made.not_valid_before_utc == dt.timedelta(days=2, minutes=5)
    assert made.subject.rfc4514_string() == f"CN={centre.alpha}"


@pytest.mark.parametrize(
    "make",
    [
        lambda: ec.generate_private_key(ec.SECP384R1()),
        lambda: rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate,
    ],
    ids=["P-384", "RSA", "Ed25519"],
)
async def test_other_kinds_of_keys_are_refused(centre: Centre, make: Callable[[], Any]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await enrol_by_hand(centre, request_of(make()))
    assert (told.value.code(), reason_of(told.value)) == (grpc.StatusCode.INVALID_ARGUMENT, "BAD_KEY")
    await nothing_issued(centre)


def signed_by_another() -> bytes:
    good = bytearray(request_of(new_key()))
    good[-5] ^= 1
    return bytes(good)


@pytest.mark.parametrize("request_", [b"", b"rubbish", signed_by_another()], ids=["empty", "rubbish", "signature"])
async def test_a_request_that_proves_no_key_is_refused(centre: Centre, request_: bytes) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await enrol_by_hand(centre, request_)
    assert reason_of(told.value) == "BAD_REQUEST"
    await nothing_issued(centre)


async def test_a_statement_that_is_not_signed_by_its_key_is_refused(centre: Centre) -> None:
    token, request = await centre.token(), request_of(new_key())
    statement, _ = stated(centre.alpha, request)
    _, foreign = stated(centre.alpha, request, key=ed25519.Ed25519PrivateKey.generate())
    for signature in (foreign, b"", bytes(64)):
        asked = pb.EnrolRequest(secret=token.secret, statement=statement, signature=signature)
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await ask(centre, ENROL, asked.SerializeToString())
        assert reason_of(told.value) == "BAD_STATEMENT"
    await nothing_issued(centre)


async def test_a_statement_for_enrolling_recovers_nothing(centre: Centre) -> None:
    centre.clock.ahead = -3 * DAY
    expired = await centre.enrolled(key=KEY)
    centre.clock.ahead = 0.0
    rows = await centre.do(certificates_of, centre.alpha)
    statement, signature = stated(centre.alpha, request_of(new_key()))
    data = pb.RecoverRequest(statement=statement, signature=signature).SerializeToString()
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await ask(centre, RECOVER, data)
    assert reason_of(told.value) == "BAD_STATEMENT"
    for facility, key in ((centre.beta, KEY), (centre.alpha, ed25519.Ed25519PrivateKey.generate())):
        with pytest.raises(EnrolmentFailed, match="does not know this agent's key"):
            await enrolment.recover(replace(expired, facility_id=facility), key, new_key(), centre.clock)
    assert await centre.do(certificates_of, centre.alpha) == rows
    assert await centre.do(certificates_of, centre.beta) == []


@pytest.mark.parametrize("method", [ENROL, RENEW, RECOVER])
async def test_rubbish_and_floods_of_bytes_are_refused(centre: Centre, method: str) -> None:
    identity = await centre.enrolled(centre.beta) if method == RENEW else None
    rows = await centre.do(certificates_of, centre.beta)
    for data in (b"\xff" * 10, b"\x0a\x00" * 1000, b"\x12" + b"\x80\x80\x08" + b"x" * 131_072):
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await ask(centre, method, data, identity)
        assert reason_of(told.value) == "BAD_REQUEST"
    assert await centre.do(certificates_of, centre.alpha) == []
    assert await centre.do(certificates_of, centre.beta) == rows


async def test_a_certificate_is_renewed_only_by_its_holder(centre: Centre) -> None:
    data = pb.RenewRequest(request=request_of(new_key())).SerializeToString()
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await ask(centre, RENEW, data)
    assert reason_of(told.value) == "CERTIFICATE_UNKNOWN"
    await nothing_issued(centre)


# --- sessions


async def test_a_certificate_of_one_facility_cannot_speak_for_another(centre: Centre) -> None:
    identity = await centre.enrolled()
    for name, described_as in ((centre.beta, None), (centre.alpha, centre.beta)):
        async with centre.stream(identity) as call:
            await call.write(hello(name, described_as))
            await ending(call)
    assert centre.events.seen == []


def forged(centre: Centre, signer: Signer, facility: str, *, server: bool = False) -> Identity:
    key = new_key()
    certificate = (
        server_certificate(signer, key.public_key(), "127.0.0.1", time.time(), DAY)
        if server
        else agent_certificate(signer, key.public_key(), facility, 1, time.time(), DAY)
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Identity(facility, "", "", "", pem, certificate, centre.authority.trust())


class Elsewhere(Signer):
    """The true authority's key, made to name agents of another federation."""

    trust_domain = "evil.example"  # type: ignore[assignment]


async def test_tls_lets_in_no_certificate_of_another_authority_purpose_or_federation(centre: Centre) -> None:
    namesake, mine = new_authority("portal.example.eu", time.time()), centre.authority.signer
    outside = Elsewhere(mine.key, mine.certificate)
    lies = [
        forged(centre, namesake, centre.alpha),
        forged(centre, mine, centre.alpha, server=True),
        forged(centre, outside, centre.alpha),
    ]
    for lie in lies:
        async with centre.stream(lie) as call:
            assert await ending(call) is grpc.StatusCode.UNAVAILABLE
    credentials = grpc.ssl_channel_credentials(centre.authority.trust())
    async with open_channel(f"127.0.0.1:{centre.hub.mutual_port}", credentials) as channel:
        call = channel.stream_stream("/parasol.link.v1.Link/Connect")()
        assert await ending(call) is grpc.StatusCode.UNAVAILABLE
    await nothing_issued(centre)


async def test_a_certificate_that_no_row_knows_is_refused(centre: Centre) -> None:
    """Signed by the centre's own key, as a thief of a backup could: still nobody's."""
    async with centre.stream(forged(centre, centre.authority.signer, centre.alpha)) as call:
        assert await ending(call) is grpc.StatusCode.UNAUTHENTICATED
        assert await call.details() == "The centre has not issued this certificate."
    await nothing_issued(centre)


async def test_a_forged_certificate_with_a_true_serial_number_is_refused(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = await centre.enrolled()
    monkeypatch.setattr(x509, "random_serial_number", lambda: true.certificate.serial_number)
    lie = forged(centre, centre.authority.signer, centre.alpha)
    assert lie.certificate.serial_number == true.certificate.serial_number
    async with centre.stream(lie) as call:
        assert await ending(call) is grpc.StatusCode.UNAUTHENTICATED
    monkeypatch.undo()
    data = pb.RenewRequest(request=request_of(new_key())).SerializeToString()
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await ask(centre, RENEW, data, lie)
    assert reason_of(told.value) == "CERTIFICATE_UNKNOWN"
    assert [used for _, used, _ in await centre.do(certificates_of, centre.alpha)] == [False]
    assert centre.events.seen == []


async def test_a_certificate_proves_nothing_where_none_is_asked_for(centre: Centre) -> None:
    identity = await centre.enrolled()
    async with centre.stream(identity, mutual=False) as call:
        assert await ending(call) is grpc.StatusCode.UNAUTHENTICATED
        assert await call.details() == "The token was refused."
    assert centre.events.seen == []


async def test_a_stolen_certificate_enrols_nobody_else(centre: Centre) -> None:
    stolen = await centre.enrolled()
    statement, signature = stated(centre.beta, request_of(new_key()))
    asked = pb.EnrolRequest(secret=bytes(32), statement=statement, signature=signature)
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await ask(centre, ENROL, asked.SerializeToString(), stolen)
    assert reason_of(told.value) == "TOKEN_UNKNOWN"
    assert await centre.do(certificates_of, centre.beta) == []
