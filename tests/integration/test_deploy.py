"""The systemd units and example configurations of deploy/ start what they say."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.waiting import alive, free_port, http_status, until

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def exec_start(unit: Path) -> list[str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit)
    return shlex.split(parser["Service"]["ExecStart"])


def here(argv: list[str], replace: dict[str, str]) -> list[str]:
    assert argv[0].startswith("/opt/parasol/bin/")
    return [str(BIN / Path(argv[0]).name), *(replace.get(word, word) for word in argv[1:])]


@contextmanager
def running(argv: list[str], variables: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **(variables or {})}
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield process
        if alive(process):
            process.send_signal(signal.SIGTERM)
            process.wait(20)
    finally:
        if alive(process):
            process.kill()
        said = process.communicate()[0].decode()
    assert process.returncode == 0, said


def secret(path: Path) -> None:
    path.write_text("a-secret-of-enough-length-for-a-test")
    path.chmod(0o600)


def example_agent(folder: Path, port: int) -> Path:
    text = (ROOT / "deploy/agent/agent.toml").read_text()
    for old, new in {
        "hub.example.eu:7443": f"127.0.0.1:{free_port()}",
        'ca_file = "centre-ca.pem"': "plaintext = true",
        "/var/lib/parasol": str(folder / "state"),
        "/run/parasol/agent.sock": str(folder / "run" / "agent.sock"),
        "127.0.0.1:8101": f"127.0.0.1:{port}",
        'folder = "/data"': f'folder = "{folder / "data"}"',
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    for name in ("state", "run", "data"):
        (folder / name).mkdir(mode=0o700)
    path = folder / "agent.toml"
    path.write_text(text)
    accounts = re.sub(r"\$argon2id.*…", password_hash(), (ROOT / "deploy/agent/accounts.toml").read_text())
    (folder / "accounts.toml").write_text(accounts)
    (folder / "accounts.toml").chmod(0o600)
    secret(folder / "umbrella.secret")
    return path


def password_hash() -> str:
    done = subprocess.run(
        [BIN / "facility-agent", "hash-password"], input=b"correct horse\n", capture_output=True, check=True
    )
    return done.stdout.decode().strip()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Unix sockets lie below it, and their paths are at most about 100 bytes long."""
    with tempfile.TemporaryDirectory(prefix="pa-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.mark.skipif(
    os.getuid() == 0, reason="the agent refuses to run as root; make test drops to an ordinary user"
)
def test_agent_and_gateway_start_from_their_units(short_folder: Path) -> None:
    port = free_port()
    config = example_agent(short_folder, port)
    tomllib.loads(config.read_text())
    replace = {"/etc/parasol/agent.toml": str(config)}
    subprocess.run([BIN / "facility-agent", "key", "-c", config], check=True, capture_output=True)
    agent = here(exec_start(ROOT / "deploy/agent/parasol-agent.service"), replace)
    gateway = here(exec_start(ROOT / "deploy/agent/parasol-gateway.service"), replace)
    with running(agent) as process:
        until(lambda: (short_folder / "run/agent.sock").exists() or not alive(process), "the agent's socket")
        with running(gateway) as door:
            until(
                lambda: http_status(port, "/healthz", "parasol.example.org") == 200 or not alive(door),
                "the gateway's health",
            )
            assert http_status(port, "/healthz", "foreign.example.org") == 421


def test_centre_starts_from_its_unit(tmp_path: Path) -> None:
    port, hub = free_port(), free_port()
    lines = (ROOT / "deploy/central/central.env").read_text().splitlines()
    variables = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    key = subprocess.run(
        [sys.executable, "-c", KEY], capture_output=True, check=True, text=True, cwd=ROOT
    ).stdout.strip()
    federation = (ROOT / "deploy/central/federation.toml").read_text().replace("MCowBQYDK2VwAyEA…", key)
    (tmp_path / "federation.toml").write_text(federation)
    secret(tmp_path / "umbrella.secret")
    variables |= {
        "PARASOL_LISTEN": f"127.0.0.1:{port}",
        "PARASOL_DATA": str(tmp_path / "data"),
        "PARASOL_FEDERATION": str(tmp_path / "federation.toml"),
        "PARASOL_HUB_LISTEN": f"127.0.0.1:{hub}",
        "PARASOL_HUB_PLAINTEXT": "1",
    }
    del variables["PARASOL_HUB_CERTIFICATE"], variables["PARASOL_HUB_KEY"]
    argv = here(exec_start(ROOT / "deploy/central/parasol-central.service"), {})
    with running(argv, variables) as process:
        until(
            lambda: http_status(port, "/healthz", "portal.example.eu") == 200 or not alive(process),
            "the portal's health",
        )
        assert http_status(port, "/healthz", "foreign.example.eu") == 421


KEY = """
import base64
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
key = Ed25519PrivateKey.generate().public_key()
print(base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode())
"""
