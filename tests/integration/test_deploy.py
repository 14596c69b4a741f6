"""The systemd units and example configurations of deploy/ start what they say."""

from __future__ import annotations

import configparser
import http.client
import json
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
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Unit:
    """A centre that runs as its unit says, and how its operator's commands reach it."""

    port: int
    variables: dict[str, str]

    def command(self, *words: str) -> str:
        done = subprocess.run(
            [BIN / "central-portal", *words], env=self.variables, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def facilities(self) -> dict[str, str]:
        """Facility → its state, as anyone sees it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        query = json.dumps({"query": "{ facilities { nodes { slug state } } }"})
        headers = {"Host": "portal.example.eu", "Content-Type": "application/json"}
        try:
            connection.request("POST", "/graphql", query, headers)
            nodes = json.loads(connection.getresponse().read())["data"]["facilities"]["nodes"]
        finally:
            connection.close()
        return {node["slug"]: node["state"] for node in nodes}


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Unit]:
    port, hub = free_port(), free_port()
    lines = (ROOT / "deploy/central/central.env").read_text().splitlines()
    variables = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    (tmp_path / "federation.toml").write_text((ROOT / "deploy/central/federation.toml").read_text())
    secret(tmp_path / "umbrella.secret")
    variables |= {
        "PATH": os.environ["PATH"],
        "PARASOL_LISTEN": f"127.0.0.1:{port}",
        "PARASOL_DATA": str(tmp_path / "data"),
        "PARASOL_FEDERATION": str(tmp_path / "federation.toml"),
        "PARASOL_HUB_LISTEN": f"127.0.0.1:{hub}",
        "PARASOL_HUB_MUTUAL_LISTEN": f"127.0.0.1:{free_port()}",
        "PARASOL_HUB_ADDRESS": f"127.0.0.1:{hub}",
    }
    argv = here(exec_start(ROOT / "deploy/central/parasol-central.service"), {})
    with running(argv, variables) as process:
        until(
            lambda: http_status(port, "/healthz", "portal.example.eu") == 200 or not alive(process),
            "the portal's health",
        )
        yield Unit(port, variables)


def added(unit: Unit) -> str:
    """The example facility takes part; a token for its agent."""
    unit.command(
        "facility", "add", "example", "--name", "Example", "--gateway", "https://parasol.example.org",
        "--workspace-zone", "workspaces-example.net",
    )  # fmt: skip
    return unit.command("agent", "token", "example")


def enrol(config: Path, token: str, *before: str) -> subprocess.CompletedProcess[str]:
    argv = [*before, BIN / "facility-agent", "enrol", "-c", config, "--token", "-"]
    return subprocess.run(argv, input=token, capture_output=True, text=True, timeout=60)


@pytest.mark.needs("ordinary-user")
def test_agent_and_gateway_start_from_their_units(short_folder: Path, unit: Unit) -> None:
    port = free_port()
    config = example_agent(short_folder, port)
    tomllib.loads(config.read_text())
    assert enrol(config, added(unit)).returncode == 0
    replace = {"/etc/parasol/agent.toml": str(config)}
    agent = here(exec_start(ROOT / "deploy/agent/parasol-agent.service"), replace)
    gateway = here(exec_start(ROOT / "deploy/agent/parasol-gateway.service"), replace)
    with running(agent) as process:
        until(lambda: (short_folder / "run/agent.sock").exists() or not alive(process), "the agent's socket")
        until(lambda: unit.facilities().get("example") == "ONLINE" or not alive(process), "the agent's session")
        with running(gateway) as door:
            until(
                lambda: http_status(port, "/healthz", "parasol.example.org") == 200 or not alive(door),
                "the gateway's health",
            )
            assert http_status(port, "/healthz", "foreign.example.org") == 421
        unit.command("agent", "revoke", "example")
        until(lambda: unit.facilities()["example"] == "OFFLINE", "the cut", 5.0)


def test_centre_starts_from_its_unit(unit: Unit) -> None:
    assert http_status(unit.port, "/healthz", "foreign.example.eu") == 421
    assert unit.facilities() == {}


def test_a_facility_is_added_and_enrolled_without_a_restart_or_a_file_copied_by_hand(
    short_folder: Path, unit: Unit
) -> None:
    config, state = example_agent(short_folder, free_port()), short_folder / "state"
    token = added(unit)
    until(lambda: "example" in unit.facilities(), "the new facility", 5.0)
    for bad, says in (("parasol-1-xyz", "no enrolment token"), (token[:-40], "no enrolment token")):
        done = enrol(config, bad)
        assert (done.returncode, done.stdout) == (2, "")
        assert says in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert list(state.iterdir()) == []
    done = enrol(config, token)
    assert done.returncode == 0, done.stderr
    assert "Enrolled as spiffe://portal.example.eu/facility/example/agent/1" in done.stdout
    written = sorted(path.name for path in state.iterdir())
    assert written == ["agent.key", "identity.pem"]
    assert {path.stat().st_mode & 0o777 for path in state.iterdir()} == {0o600}
    before = {path: path.read_bytes() for path in state.iterdir()}
    again = enrol(config, token)
    assert again.returncode == 2
    assert again.stderr == "This token has been used; ask for a new one.\n"
    assert {path: path.read_bytes() for path in state.iterdir()} == before
    unit.command("facility", "remove", "example")
    until(lambda: unit.facilities() == {}, "the facility leaves", 5.0)


@pytest.mark.needs("faketime")
def test_a_site_whose_clock_is_wrong_is_told_so_and_keeps_its_token(short_folder: Path, unit: Unit) -> None:
    """The whole process under another clock, TLS included."""
    config, state, token = example_agent(short_folder, free_port()), short_folder / "state", added(unit)
    for skew, says in (("-1h", "60 minutes behind"), ("-1d", "24 hours behind"), ("+1h", "60 minutes ahead of")):
        done = enrol(config, token, "faketime", "-f", skew)
        assert done.returncode == 2
        assert f"The clock of the agent's machine is {says} the centre's; mend it" in done.stderr
        assert list(state.iterdir()) == []
    done = enrol(config, token, "faketime", "-f", "-5m")
    assert done.returncode == 0, done.stderr
