"""The small rules of enrolment: the token's text, the site's files, the centre's authority, and what `check` says of them."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from central_portal.enrolment import logic
from central_portal.enrolment.authority import Authority, hub_authorities, trust_domain_of
from central_portal.enrolment.certificates import agent_certificate
from central_portal.enrolment.logic import CertificateFacts
from central_portal.link.credentials import server_credentials
from central_portal.link.ports import EnrolmentRefused
from central_portal.link.settings import HubMisconfigured, HubSettings
from central_portal.settings import CentreSettings, SettingsError
from facility_agent.link.certificates import Certificates
from facility_agent.link.identity import CURRENT, NEXT, Identity, identity_of, read_identity, write_identity
from facility_agent.link.settings import LinkMisconfigured
from shared.wire.enrolment import Enrolled, Token, decode_token, encode_token
from shared.wire.text import Malformed
from tests.certificates import self_signed

DAY = 86_400.0
TOKEN = Token("hub.example.eu:7443", "alpha", bytes(range(32)), (b"a certificate", b"another"))


# --- the token's text


def test_a_token_reads_as_it_was_written_also_when_it_was_wrapped() -> None:
    text = encode_token(TOKEN)
    assert decode_token(text) == TOKEN
    assert decode_token("\n " + "\n".join(text[i : i + 60] for i in range(0, len(text), 60)) + "\n") == TOKEN
    assert "0102" not in repr(TOKEN)
    assert "\\x01" not in repr(TOKEN)


@given(st.integers(0, len(encode_token(TOKEN)) - 1))
def test_a_token_that_was_cut_short_is_none(length: int) -> None:
    with pytest.raises(Malformed, match="copy it whole"):
        decode_token(encode_token(TOKEN)[:length])


@given(st.text(max_size=80))
def test_any_other_text_is_no_token(text: str) -> None:
    for given_ in (text, "parasol-1-" + text):
        with pytest.raises(Malformed, match="copy it whole"):
            decode_token(given_)


# --- decisions


GOOD = CertificateFacts(1000.0, 10.0, None, None, None)


@pytest.mark.parametrize(
    ("facts", "now", "reason"),
    [
        (GOOD, 999.0, ""),
        (GOOD, 1000.0, "This certificate has expired."),
        (dataclasses.replace(GOOD, revoked_at=5.0), 20.0, "This certificate was revoked; enrol again."),
        (dataclasses.replace(GOOD, agent_revoked_at=5.0), 20.0, "This certificate was revoked; enrol again."),
        (dataclasses.replace(GOOD, retired_at=100.0), 159.0, ""),
        (dataclasses.replace(GOOD, retired_at=100.0), 160.0, "A newer certificate has replaced this one."),
        (dataclasses.replace(GOOD, retired_at=100.0, revoked_at=5.0), 101.0, "This certificate was revoked; enrol again."),
        (None, 0.0, "The centre has not issued this certificate."),
    ],
)  # fmt: skip
def test_when_a_session_must_end(facts: CertificateFacts | None, now: float, reason: str) -> None:
    assert logic.fallen(facts, now) == reason


@pytest.mark.parametrize("ahead", [-599.0, 0.0, 599.0])
def test_clocks_that_nearly_agree_are_fine(ahead: float) -> None:
    logic.check_clock(int((1_000_000 + ahead) * 1000), 1_000_000.0)


@pytest.mark.parametrize("ahead", [-1e12, -601.0, 601.0, 1e12])
def test_clocks_that_differ_are_told(ahead: float) -> None:
    with pytest.raises(EnrolmentRefused, match="mend it and try again"):
        logic.check_clock(int((1_000_000 + ahead) * 1000), 1_000_000.0)


# --- the centre's authority


def test_an_authority_is_made_once_and_for_its_user_alone(tmp_path: Path) -> None:
    first, second = Authority(tmp_path, "portal.example.eu"), Authority(tmp_path, "another.example")
    assert first.trust() == second.trust()
    assert second.signer.trust_domain == "portal.example.eu", "as it was made"
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda path: path.chmod(0o640), "run: chmod 600"),
        (lambda path: path.write_bytes(b"rubbish"), "holds no key and certificate"),
        (lambda path: path.write_bytes(_mixed(path)), "does not belong to the key"),
    ],
)
def test_an_authority_that_cannot_be_trusted_is_not_used(tmp_path: Path, harm: Any, says: str) -> None:
    Authority(tmp_path, "portal.example.eu").trust()
    path = tmp_path / "authority.pem"
    harm(path)
    before = path.read_bytes()
    with pytest.raises(SettingsError, match=says):
        Authority(tmp_path, "portal.example.eu").trust()
    assert path.read_bytes() == before


def _mixed(path: Path) -> bytes:
    key = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key + path.read_bytes().partition(b"-----END PRIVATE KEY-----\n")[2]


@pytest.mark.parametrize(
    ("origin", "domain"),
    [
        ("https://Portal.example.eu:8443", "portal.example.eu"),
        ("http://127.0.0.1:1", "127.0.0.1"),
        ("http://[::1]:1", "parasol.invalid"),
    ],
)
def test_the_federation_is_named_after_the_portal(origin: str, domain: str) -> None:
    assert trust_domain_of(origin) == domain


def test_what_agents_trust_follows_what_they_see(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "portal.example.eu")
    own = tuple(c.public_bytes(Encoding.DER) for c in authority.certificates)
    foreign, _ = self_signed(tmp_path / "foreign")

    def trusted(**settings: Any) -> tuple[bytes, ...]:
        return hub_authorities(CentreSettings.model_construct(data=tmp_path, **settings), authority)

    assert trusted() == own
    assert trusted(hub_plaintext=True) == ()
    assert len(trusted(hub_plaintext=True, hub_ca=foreign)) == 1
    assert trusted(hub_ca=foreign) != own
    with pytest.raises(SettingsError, match="set PARASOL_HUB_CA"):
        trusted(hub_certificate=foreign)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(foreign.read_bytes() + authority.trust())
    assert trusted(hub_certificate=chain) == own
    with pytest.raises(SettingsError, match="No such file"):
        trusted(hub_ca=tmp_path / "missing.pem")


def test_a_hub_without_an_address_or_a_certificate_says_what_to_set(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "portal.example.eu")
    with pytest.raises(HubMisconfigured, match="PARASOL_HUB_ADDRESS"):
        server_credentials(HubSettings("0.0.0.0:7443", "hub"), authority, mutual=False)
    with pytest.raises(HubMisconfigured, match="PARASOL_HUB_CERTIFICATE"):
        server_credentials(HubSettings("127.0.0.1:7443", "hub"), None, mutual=False)
    with pytest.raises(HubMisconfigured, match="PARASOL_HUB_MUTUAL_LISTEN"):
        HubSettings("127.0.0.1:7443", "hub", mutual_listen="nonsense").mutual_address()
    assert HubSettings("127.0.0.1:1", "hub", plaintext=True, mutual_listen="127.0.0.1:2").mutual_address() is None


# --- the site's files


def an_identity(folder: Path, *, began: float = 0.0, life: float = 2 * DAY, facility: str = "alpha") -> Identity:
    """An identity of an authority in `folder`; `began` seconds ago."""
    authority, key = Authority(folder, "portal.example.eu"), generate_private_key(SECP256R1())
    made = agent_certificate(authority.signer, key.public_key(), facility, 1, time.time() - began, life)
    trusted = tuple(c.public_bytes(Encoding.DER) for c in authority.certificates)
    answer = Enrolled(made.public_bytes(Encoding.DER), trusted, "127.0.0.1:2", "hub")
    return identity_of(facility, "127.0.0.1:1", key, answer)


def test_an_identity_reads_as_it_was_written_and_is_for_its_user_alone(tmp_path: Path) -> None:
    identity, path = an_identity(tmp_path / "centre"), tmp_path / CURRENT
    write_identity(path, identity)
    assert read_identity(path) == identity
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == [CURRENT]
    assert "PRIVATE" not in repr(identity)
    assert read_identity(tmp_path / NEXT) is None


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda path: path.chmod(0o644), "run: chmod 600"),
        (lambda path: path.write_bytes(b""), "is damaged; enrol again"),
        (lambda path: path.write_bytes(path.read_bytes()[:-900]), "is damaged; enrol again"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b"hub: ", b"hut: ")), "is damaged; enrol again"),
        (lambda path: path.write_bytes(b"\xff" + path.read_bytes()), "is damaged; enrol again"),
    ],
)
def test_a_damaged_identity_is_named(tmp_path: Path, harm: Any, says: str) -> None:
    path = tmp_path / CURRENT
    write_identity(path, an_identity(tmp_path / "centre"))
    harm(path)
    with pytest.raises(LinkMisconfigured, match=says):
        read_identity(path)


def test_an_answer_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    authority, key = Authority(tmp_path, "portal.example.eu"), generate_private_key(SECP256R1())
    made = agent_certificate(authority.signer, key.public_key(), "alpha", 1, time.time(), DAY)
    der, trusted = made.public_bytes(Encoding.DER), (authority.certificates[0].public_bytes(Encoding.DER),)
    good = Enrolled(der, trusted, "127.0.0.1:2", "hub")
    assert identity_of("alpha", "127.0.0.1:1", key, good)
    with pytest.raises(ValueError, match="another agent"):
        identity_of("beta", "127.0.0.1:1", key, good)
    with pytest.raises(ValueError, match="another agent"):
        identity_of("alpha", "127.0.0.1:1", generate_private_key(SECP256R1()), good)
    for mutual, hub in (("127.0.0.1:2", "127.0.0.1:1"), ("", "hub.example.eu:7443")):
        with pytest.raises(ValueError, match="no authority"):
            identity_of("alpha", hub, key, Enrolled(der, (), mutual, "hub"))
    assert identity_of("alpha", "127.0.0.1:1", key, Enrolled(der, (), "", "hub")), "plaintext on this machine"


def a_site(tmp_path: Path, **how: float) -> Certificates:
    state = tmp_path / "state"
    state.mkdir()
    write_identity(state / CURRENT, an_identity(tmp_path / "centre", **how))  # type: ignore[arg-type]
    return Certificates(state, "alpha", state / "agent.key")


def test_a_new_certificate_takes_turns_with_the_old_one_until_it_was_used(tmp_path: Path) -> None:
    site = a_site(tmp_path)
    old, new = site.current(), an_identity(tmp_path / "centre")
    assert old
    write_identity(tmp_path / "state" / NEXT, new)
    serials = [site.way().serial for _ in range(4)]
    assert serials == [new.certificate.serial_number, old.certificate.serial_number] * 2
    way = site.way()
    assert way.serial == new.certificate.serial_number
    site.opened(way)
    assert site.current() == new
    assert {site.way().serial for _ in range(3)} == {new.certificate.serial_number}


def test_a_session_on_the_old_certificate_leaves_the_new_one_where_it_is(tmp_path: Path) -> None:
    site, new = a_site(tmp_path), an_identity(tmp_path / "centre")
    old = site.way()
    write_identity(tmp_path / "state" / NEXT, new)
    site.opened(old)
    assert site.newest() == new
    assert site.way().serial == new.certificate.serial_number


@pytest.mark.parametrize(("share", "due"), [(0.0, False), (0.49, False), (0.67, True), (1.2, True)])
def test_a_certificate_is_renewed_past_half_its_life(tmp_path: Path, share: float, due: bool) -> None:
    assert a_site(tmp_path, began=share * 2 * DAY).due() is due


def test_agents_do_not_renew_at_the_same_moment(tmp_path: Path) -> None:
    shares = {Certificates(tmp_path, "alpha", tmp_path / "key")._share for _ in range(100)}
    assert len(shares) == 100
    assert 0.5 <= min(shares) < 0.52 < 0.64 < max(shares) <= 0.66
