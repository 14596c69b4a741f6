"""Bad configuration of the centre: one sentence that names the mistake, and nothing is started."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

BIN = Path(sys.executable).parent
KEY = base64.b64encode(
    Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
GOOD = f"""
[[providers]]
id = "umbrella"
title = "UmbrellaID"
issuer = "https://umbrella.example.eu"
client_id = "portal"
client_secret_file = "umbrella.secret"
[[facilities]]
id = "alpha"
name = "Alpha"
public_key = "{KEY}"
gateway = "https://parasol.alpha.example"
workspace_zone = "workspaces-alpha.example"
"""


def run(folder: Path, command: str, text: str = GOOD, **variables: str) -> subprocess.CompletedProcess[str]:
    (folder / "federation.toml").write_text(text)
    (folder / "umbrella.secret").write_text("the-secret-itself\n")
    environment = {
        "PATH": os.environ["PATH"],
        "PARASOL_DATA": str(folder / "data"),
        "PARASOL_FEDERATION": str(folder / "federation.toml"),
        "PARASOL_HUB_PLAINTEXT": "1",
        **variables,
    }
    return subprocess.run(
        [BIN / "central-portal", command], env=environment, capture_output=True, text=True, cwd=folder, timeout=30
    )


def test_good_configuration_is_read_and_changes_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, "check", PARASOL_ORIGIN="https://portal.example.eu")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "https://portal.example.eu: 1 providers, 1 facilities\n"
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("command", "text", "variables", "sentence"),
    [
        ("serve", GOOD.replace("title", "titel"), {}, "providers.0.titel: is not a known key"),
        ("serve", GOOD, {"PARASOL_ORIGIN": "http://portal.example.eu"}, "origin: must be https"),
        ("check", GOOD, {"PARASOL_ORIGN": "https://x"}, "PARASOL_ORIGN is not a known variable; did you mean PARASOL_ORIGIN?"),
        ("check", GOOD, {"PARASOL_HUB_LISTEN": "0.0.0.0:7443"}, "PARASOL_HUB_PLAINTEXT is for loopback only"),
        ("check", GOOD.replace("umbrella.secret", "missing.secret"), {}, "missing.secret: No such file"),
        ("check", GOOD.replace(KEY, "MCowBQYD"), {}, "facility alpha: public_key is not the output of `facility-agent key`"),
    ],
)  # fmt: skip
def test_a_mistake_ends_with_one_sentence_and_exit_2(
    tmp_path: Path, command: str, text: str, variables: dict[str, str], sentence: str
) -> None:
    done = run(tmp_path, command, text, **variables)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert done.stdout == ""
    assert "the-secret-itself" not in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("ORIGIN", "https://portal.example.eu/portal", "origin: must be an origin"),
        ("ORIGIN", "https://ada:secret@portal.example.eu", "origin: must be an origin"),
        ("LISTEN", "8000", "listen: '8000' is not an address"),
        ("QUERY_DEADLINE", "0", "query_deadline: Input should be greater than 0"),
        ("SESSION_HOURS", "1000", "session_hours: Input should be less than"),
        ("HUB_ADVERTISE", "0.0.0.0:7443", "hub_advertise: must be an address that web processes can reach"),
        ("METRICS", "0.0.0.0:9464", "metrics: must be on loopback"),
        ("REDIS", "http://redis:6379", "redis: must be redis://"),
        ("HUB_LEASE", "0", "hub_lease: Input should be greater than 0"),
        ("DATABASE", "mysql://db/parasol", "must be postgresql://user@host:port/name"),
        ("DATABASE", "postgresql://db:port/parasol?nonsense", "cannot be read"),
        ("DATABASE", "postgresql://parasol@db.example.eu", "must name the database"),
        ("DATABASE", "postgresql://parasol:hunter2@db/parasol", "must not hold the password"),
        ("DATABASE_PASSWORD_FILE", "/nowhere", "is for PARASOL_DATABASE, which is empty"),
    ],
)
def test_a_mistake_in_the_environment_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    from central_portal.settings import SettingsError, read_settings

    monkeypatch.setenv(f"PARASOL_{name}", value)
    with pytest.raises(SettingsError) as told:
        read_settings()
    assert sentence in str(told.value)
    assert "\n" not in str(told.value)
    assert "hunter2" not in str(told.value)


def test_the_database_is_postgresql_with_its_password_from_a_file(tmp_path: Path) -> None:
    from central_portal.django_database import database_table

    file = tmp_path / "password"
    url = "postgresql://parasol@db.example.eu:5433/portal?sslmode=verify-full"
    for text, why in (("", "is empty"), (None, "cannot be read")):
        if text is None:
            file.unlink()
        else:
            file.write_text(text)
        with pytest.raises(ValueError, match=why):
            database_table(url, file, tmp_path)
    file.write_text("hunter2\n")
    table = database_table(url, file, tmp_path)
    assert (table["ENGINE"], table["NAME"], table["USER"], table["HOST"], table["PORT"], table["PASSWORD"]) == (
        "django.db.backends.postgresql", "portal", "parasol", "db.example.eu", "5433", "hunter2",
    )  # fmt: skip
    assert table["OPTIONS"]["sslmode"] == "verify-full"
    assert table["CONN_MAX_AGE"] == 0, "the pool and Django's own persistence exclude each other"
    assert database_table("", None, tmp_path)["NAME"] == tmp_path / "centre.sqlite3"


@pytest.mark.parametrize(
    "origin", ["http://portal.localhost:8000", "http://127.0.0.1:8000", "https://Portal.Example.eu/"]
)
def test_origins_are_normalised_and_http_is_for_this_machine(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    from central_portal.settings import read_settings

    monkeypatch.setenv("PARASOL_ORIGIN", origin)
    assert read_settings().origin == origin.lower().rstrip("/")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("client_id", "clientid", "providers.0.clientid: is not a known key"),
        ("[[providers]]", "[[provider]]", "provider: is not a known key"),
        ('id = "alpha"', 'id = "Alpha"', "facilities.0.id: must be a slug"),
        ("https://parasol.alpha", "http://parasol.alpha", "facilities.0.gateway: must be https"),
        ("https://umbrella", "http://umbrella", "providers.0.issuer: must be https"),
        ('client_id = "portal"', 'client_id = "portal"\nalgorithms = ["none"]', "providers.0.algorithms"),
        ('client_id = "portal"', 'client_id = "portal"\nalgorithms = ["HS256"]', "providers.0.algorithms"),
        ('client_id = "portal"', 'client_id = "portal"\nalgorithms = []', "providers.0.algorithms"),
        ("[[facilities]]", "[facilities", "federation.toml: "),
    ],
)
def test_a_mistake_in_the_federation_is_named(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in GOOD
    assert sentence in refused(tmp_path, GOOD.replace(old, new))


def refused(folder: Path, text: str) -> str:
    """The sentence about a federation's file."""
    from central_portal.settings import SettingsError, read_federation

    (folder / "federation.toml").write_text(text)
    with pytest.raises(SettingsError) as told:
        read_federation(folder / "federation.toml")
    assert "\n" not in str(told.value)
    return str(told.value)


def test_two_facilities_of_one_id_are_refused(tmp_path: Path) -> None:
    tables = GOOD + GOOD[GOOD.index("[[facilities]]") :]
    assert "two tables have the same facility id" in refused(tmp_path, tables)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    from central_portal.settings import SettingsError, read_federation

    (tmp_path / "federation.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="is not UTF-8 text"):
        read_federation(tmp_path / "federation.toml")


def test_an_empty_secret_is_refused(tmp_path: Path) -> None:
    from central_portal.federation import ProviderTable
    from central_portal.settings import SettingsError, secret_of

    (tmp_path / "empty").write_text("\n")
    table = ProviderTable(
        id="op", title="OP", issuer="https://op", client_id="c", client_secret_file=tmp_path / "empty"
    )
    with pytest.raises(SettingsError, match="is empty; it holds the client secret of provider op"):
        secret_of(table)
