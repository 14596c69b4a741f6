"""The facility's configuration: a mistake is one sentence that names the key and, in `check`, the mend."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from facility_agent import check
from facility_agent.adapters.compute.process_settings import ProcessSettings
from facility_agent.building import adapters
from facility_agent.check import Finding, problems
from facility_agent.composition import Agent
from facility_agent.config import ConfigError, Located, load
from facility_agent.description import Description
from facility_agent.egress.narrowing import NarrowedCatalogue
from facility_agent.link.keys import load_or_create_key
from facility_agent.recording import policy
from shared.errors import BackendUnavailable

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "deploy" / "agent"
BIN = Path(sys.executable).parent
BY_HAND = """[centre]
hub = "hub.example.eu:7443"
audience = "parasol-hub"
key_file = "agent.key"
ca_file = "centre-ca.pem"
# """


@pytest.fixture
def folder() -> Iterator[Path]:
    """The examples of deploy/agent in a short folder, with the secrets that they name."""
    with tempfile.TemporaryDirectory(prefix="pa-", dir="/tmp") as name:
        folder = Path(name)
        for path in EXAMPLES.glob("*.toml"):
            shutil.copy(path, folder)
        (folder / "accounts.toml").chmod(0o600)
        (folder / "umbrella.secret").write_text("a secret\n")
        (folder / "umbrella.secret").chmod(0o600)
        (folder / "data").mkdir()
        (folder / "state").mkdir(mode=0o700)
        load_or_create_key(folder / "agent.key")
        change(
            folder,
            ("/var/lib/parasol", str(folder / "state")),
            ("/run/parasol", str(folder / "run")),
            ('"/data"', f'"{folder / "data"}"'),
            ("/opt/parasol/jupyter/bin/jupyter-lab", sys.executable),
            ("[centre] ", BY_HAND),
        )
        yield folder


def change(folder: Path, *swaps: tuple[str, str]) -> None:
    path = folder / "agent.toml"
    text = path.read_text()
    for old, new in swaps:
        assert old in text, old
        text = text.replace(old, new, 1) if old.startswith("[") else text.replace(old, new)
    path.write_text(text)


def loaded(folder: Path) -> Located:
    return load(folder / "agent.toml")


def mistake(folder: Path) -> str:
    with pytest.raises(ConfigError) as refused:
        adapters(loaded(folder))
    said = str(refused.value)
    assert "\n" not in said, "one sentence"
    return said


def found(folder: Path) -> dict[str, Finding]:
    return {f.key: f for f in problems(loaded(folder)) if f.key != "user"}


# --- the examples


def test_the_example_is_complete(folder: Path) -> None:
    config = loaded(folder).config
    assert (config.facility.id, config.limits.workspaces_per_account) == ("example", 4)
    assert [(f.memory, f.longest) for f in config.flavours] == [(2 * 2**30, 8 * 3600)]
    adapters(loaded(folder))


class Fickle:
    """An adapter whose author lets every fault through."""

    fault = ""

    @property
    def detail(self) -> str:
        if self.fault:
            raise RuntimeError(self.fault)
        return "All is well."


def test_of_an_adapter_that_cannot_say_how_it_is_the_last_word_stands(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    located, adapter = loaded(folder), Fickle()
    describe = Description(located.config, adapter, adapter)
    before = describe()
    assert "All is well." in {c.detail for c in before.capabilities}
    for fault, told in (("broken", 2), ("broken", 2), ("", 2), ("broken", 4)):  # once for each port and outage
        adapter.fault = fault
        assert describe() == before
        assert caplog.text.count("RuntimeError: broken") == told


async def test_a_catalogue_that_cannot_be_read_leaves_what_it_said(folder: Path) -> None:
    """A full disk kept the catalogue's index from being opened, and that ended the agent."""
    located = loaded(folder)
    made = adapters(located)
    describe = Description(located.config, made.catalogue, made.compute)
    before = describe()
    (index,) = (folder / "state").rglob("index.sqlite3")
    for leftover in index.parent.glob("index.sqlite3-*"):
        leftover.unlink()
    index.write_bytes(b"nothing that SQLite knows" * 100)
    with pytest.raises(BackendUnavailable):
        await made.catalogue.instruments()
    await describe.refresh()
    assert describe() == before


def test_check_finds_nothing_fatal_in_the_example(folder: Path) -> None:
    assert [str(f) for f in found(folder).values() if f.fatal] == []
    (zone,) = [f for f in problems(loaded(folder)) if "Public Suffix List" in f.what]
    assert "publicsuffix.org" in zone.mend


def test_the_example_tells_of_what_is_not_there_yet() -> None:
    """As it stands in the repository: each thing that the operator has still to give is named with its mend."""
    fatal = {f.key: f for f in problems(load(EXAMPLES / "agent.toml")) if f.fatal}
    assert {"gateway.umbrella.client_secret_file", "centre", "environments.jupyter.command"} <= set(fatal)
    assert "facility-agent enrol" in fatal["centre"].mend
    assert "0600" in fatal["gateway.umbrella.client_secret_file"].mend
    assert not (EXAMPLES / "agent.key").exists()


# --- typos


TYPOS = [
    ("[facility]", "[facilty]", "facilty"),
    ("country =", "contry =", "facility.contry"),
    ('id = "example"', 'id = "Example!"', "facility.id"),
    ('country = "DE"', 'country = "Germany"', "facility.country"),
    ('hub = "hub.example.eu:7443"', 'hub = "hub.example.eu"', "centre.hub"),
    ("audience =", "audiense =", "centre.audiense"),
    ('portal = "https://portal.example.eu"', 'portal = "http://portal.example.eu"', "centre.portal"),
    ('portal = "https://portal.example.eu"', 'portal = "https://portal.example.eu/app"', "centre.portal"),
    ('portal = "https://portal.example.eu"', 'portal = "https://me@portal.example.eu"', "centre.portal"),
    ('ca_file = "centre-ca.pem"', "", "ca_file"),
    ('ca_file = "centre-ca.pem"', 'ca_file = "x"\nplaintext = true', "plaintext"),
    ('listen = "127.0.0.1:8101"', 'listen = "8101"', "gateway.listen"),
    ('url = "https://parasol.example.org"', 'url = "parasol.example.org"', "gateway.url"),
    ('"workspaces-example.net"', '"https://workspaces-example.net"', "gateway.workspace_zone"),
    ('"workspaces-example.net"', '"*.workspaces-example.net"', "gateway.workspace_zone"),
    ("client_id =", "clientid =", "gateway.umbrella.client"),
    ("read_lifetime_s = 604800", "read_lifetime_s = 0", "grants.read_lifetime_s"),
    ("run_lifetime_s = 43200", "run_lifetime_s = 99999999", "grants.run_lifetime_s"),
    ('[accounts]\nadapter = "file"', '[accounts]\nadapter = "fle"', 'accounts.file: is not a known key beside adapter = "fle"'),
    ('[accounts]\nadapter = "file"\n[accounts.file]', '[accounts]\nadapter = "fle"\n[accounts.fle]', "accounts.adapter: there is no"),
    ('[accounts]\nadapter = "file"', "[accounts]", "accounts: adapter"),
    ('path = "accounts.toml"', 'pth = "accounts.toml"', "accounts.file: p"),
    ("[accounts.file]", "[accounts.fiel]", "accounts.fiel"),
    ("open_proposals", "open_proposal", "catalogue.nexus_folder: open_proposal"),
    ("[compute.process]", "[compute.proces]", "compute.proces"),
    ("workspaces_per_account = 4", "workspaces_per_account = 0", "limits.workspaces_per_account"),
    ("workspaces_per_account = 4", 'workspaces_per_account = "many"', "limits.workspaces_per_account"),
    ('memory = "2GiB"', 'memory = "2 gigs"', "flavours.0.memory"),
    ('longest = "8h"', "longest = 8", "flavours.0.longest"),
    ("cpus = 1", "cpus = 0", "flavours.0.cpus"),
    ('used_as = "notebook"', 'used_as = "notbook"', "environments.0.used_as"),
    ('flavours = ["small"]\nrecommended = "small"', 'flavours = ["smal"]', "environment jupyter names unknown flavours: smal"),
    ('recommended = "small"', 'recommended = "large"', "environments.0: recommended"),
    ('"--no-browser"', '"--token={secret}"', "environments.0: the secret"),
    ("[[flavours]]", '[[flavours]]\nid = "small"\ntitle = "S"\ncpus = 1\nmemory = "1GiB"\nlongest = "1h"\n\n[[flavours]]', "two flavours"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "key"), TYPOS, ids=[f"{i}-{t[2]}" for i, t in enumerate(TYPOS)])
def test_a_typo_is_one_sentence_that_names_the_key(folder: Path, right: str, wrong: str, key: str) -> None:
    path = folder / "agent.toml"
    assert right in path.read_text()
    path.write_text(path.read_text().replace(right, wrong, 1))
    said = mistake(folder)
    assert key in said
    assert "a secret" not in said
    assert not list((folder / "state").glob("agent.sqlite3*")), "nothing was begun"


def test_what_is_missing_is_said_to_be_missing(folder: Path) -> None:
    change(folder, ('client_id = "example-gateway"\n', ""))
    assert mistake(folder).endswith("gateway.umbrella.client_id: is missing")


def test_a_value_is_never_repeated(folder: Path) -> None:
    """Somebody who writes the secret where its file belongs must not find it in a log."""
    change(folder, ('client_id = "example-gateway"', 'client_id = ["hunter2-hunter2"]'))
    assert "hunter2" not in mistake(folder)


@pytest.mark.parametrize("content", [b"[facility", b"\xff\xfe\x00", b"a = 1\na = 2"])
def test_what_is_no_toml_names_the_file(folder: Path, content: bytes) -> None:
    (folder / "agent.toml").write_bytes(content)
    said = mistake(folder)
    assert str(folder / "agent.toml") in said


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path / 'none.toml'}: No such file")):
        load(tmp_path / "none.toml")


def test_origins_are_made_equal(folder: Path) -> None:
    change(folder, ("https://portal.example.eu", "https://Portal.example.eu/"))
    assert loaded(folder).config.centre.portal == "https://portal.example.eu"


# --- isolation


@pytest.mark.parametrize("isolation", ["", 'isolation = "user"', "isolation = true", 'isolation = ""'])
def test_running_as_the_agents_user_must_be_switched_on(folder: Path, isolation: str) -> None:
    line = re.search(r'^isolation = "none".*$', (folder / "agent.toml").read_text(), re.M)
    assert line is not None
    change(folder, (line[0], isolation))
    said = mistake(folder)
    assert said.startswith('compute.process: isolation: write isolation = "none"')
    (finding,) = [f for f in problems(loaded(folder)) if f.key == "adapters"]
    assert finding.fatal
    assert 'isolation = "none"' in str(finding)


def test_isolation_by_account_wants_the_helper(folder: Path) -> None:
    line = re.search(r'^isolation = "none".*$', (folder / "agent.toml").read_text(), re.M)
    assert line is not None
    change(folder, (line[0], f'isolation = "account"\nhelper = "{folder}/no.sock"'))
    (finding,) = [f for f in problems(loaded(folder)) if f.key == "compute.process.helper"]
    assert finding.fatal
    assert "does not answer" in str(finding)
    assert "parasol-helper.service" in str(finding)


def test_accounts_without_passwords_want_a_sign_on(folder: Path) -> None:
    text = (folder / "agent.toml").read_text()
    table = re.search(r'^adapter = "file"\n\[accounts.file\]\npath = .*$', text, re.M)
    assert table is not None
    change(folder, (table[0], 'adapter = "nss"'))
    (finding,) = [f for f in problems(loaded(folder)) if f.key == "gateway.sign_on"]
    assert finding.fatal


def test_it_is_not_on_by_default() -> None:
    with pytest.raises(ValueError, match="isolation"):
        ProcessSettings.model_validate({"folder": "/x"})


# --- secrets


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_a_secret_open_to_others_is_refused(folder: Path, mode: int) -> None:
    secret = folder / "umbrella.secret"
    secret.chmod(mode)
    with pytest.raises(ConfigError) as refused:
        loaded(folder).secret(Path("umbrella.secret"))
    assert str(secret) in str(refused.value)
    assert "0600" in str(refused.value)
    assert "a secret" not in str(refused.value)
    finding = found(folder)["gateway.umbrella.client_secret_file"]
    assert (finding.fatal, "0600" in finding.mend) == (True, True)


def test_a_secret_that_is_missing_or_empty_is_refused(folder: Path) -> None:
    (folder / "umbrella.secret").write_text("\n")
    assert "is empty" in found(folder)["gateway.umbrella.client_secret_file"].what
    (folder / "umbrella.secret").unlink()
    assert "No such file" in found(folder)["gateway.umbrella.client_secret_file"].what


def test_a_secret_of_its_own_user_is_read(folder: Path) -> None:
    assert loaded(folder).secret(Path("umbrella.secret")) == "a secret"


def test_the_agents_key_must_be_there_and_closed(folder: Path) -> None:
    (folder / "agent.key").chmod(0o644)
    finding = found(folder)["centre.key_file"]
    assert (finding.fatal, finding.mend) == (True, f"Run `chmod 600 {folder / 'agent.key'}`.")
    (folder / "agent.key").unlink()
    assert "facility-agent key" in found(folder)["centre.key_file"].mend
    assert not (folder / "agent.key").exists(), "looking makes none"


@pytest.mark.parametrize("sign_on", [False, True])
def test_every_clients_secret_is_looked_at(folder: Path, sign_on: bool) -> None:
    if sign_on:
        with (folder / "agent.toml").open("a") as file:
            file.write(
                '\n[gateway.sign_on]\nissuer = "https://sso.example.org"\nclient_id = "x"\nclient_secret_file = "sso.secret"\n'
            )
    assert ("gateway.sign_on.client_secret_file" in found(folder)) is sign_on


# --- the egress policy


@pytest.mark.needs("ordinary-user")
@pytest.mark.parametrize("narrows", [True, False])
async def test_a_policy_stands_before_the_catalogue_wherever_it_is_asked_from_outside(
    folder: Path, narrows: bool
) -> None:
    if narrows:
        (folder / "policy.toml").write_text('[dataset]\nsample = "never"\n')
        change(folder, ("[agent]\n", '[agent]\negress_policy = "policy.toml"\n'))
    agent = Agent(loaded(folder))
    try:
        asked = {agent._core._catalogue._backend, agent._feed._backend, agent.describe._catalogue}
        assert len(asked) == 1
        (backend,) = asked
        assert isinstance(backend, NarrowedCatalogue) is narrows
        assert getattr(backend, "_inner", backend) is agent._made.catalogue
    finally:
        await agent._records.close()
        agent._recording.close()
        agent._store.close()


def test_a_policy_that_is_not_understood_keeps_the_agent_from_starting(folder: Path) -> None:
    (folder / "policy.toml").write_text('[dataset]\nstarted = "never"\n')
    change(folder, ("[agent]\n", '[agent]\negress_policy = "policy.toml"\n'))
    with pytest.raises(ConfigError, match=r"egress_policy: policy\.toml: dataset\.started: it cannot stay here"):
        policy(loaded(folder))


# --- root and the rest


def test_root_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    (finding,) = [f for f in problems(loaded(folder)) if f.key == "user"]
    assert finding.fatal
    assert "ordinary user" in finding.mend
    with pytest.raises(ConfigError, match="does not run as root"):
        Agent(loaded(folder))
    assert not list((folder / "state").glob("agent.sqlite3*"))


@pytest.mark.needs("ordinary-user")
def test_a_state_that_cannot_be_written_is_named_with_its_mend(folder: Path) -> None:
    (folder / "state").chmod(0)
    try:
        finding = found(folder)["agent.state"]
    finally:
        (folder / "state").chmod(0o700)
    assert (finding.fatal, "0700" in finding.mend) == (True, True)


def test_an_environment_that_cannot_run_is_named(folder: Path) -> None:
    change(folder, (sys.executable, "/no/such/program"))
    finding = found(folder)["environments.jupyter.command"]
    assert finding.fatal
    assert "/no/such/program" in finding.what


def test_what_an_adapter_misses_is_named_with_its_mend(folder: Path) -> None:
    (folder / "data").rmdir()
    (folder / "accounts.toml").chmod(0o666)
    named = found(folder)
    assert "is not a folder" in named["catalogue.nexus_folder.folder"].what
    assert "writable by others" in named["accounts.file.path"].what
    assert named["catalogue.nexus_folder.folder"].fatal
    assert named["accounts.file.path"].fatal


@pytest.mark.parametrize(
    ("right", "wrong", "fatal", "says"),
    [
        ("uid = 20001", "uid = 0", False, "Account asmith has uid 0"),
        ("uid = 20001\n", "", False, "Account asmith has no uid"),
        ("uid = 20001", 'uid = "x"', True, "accounts.0.uid"),
        ("[[accounts]]", "[[accounts]", True, "at line"),
        ("$argon2id$", "$1$", False, "is no argon2 hash"),
        ("[[accounts]]", "[[accounts]]\nsecret = 1", True, "accounts.0.secret"),
    ],
)
def test_accounts_that_nobody_can_use_are_named(
    folder: Path, right: str, wrong: str, fatal: bool, says: str
) -> None:
    path = folder / "accounts.toml"
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("a password")
    path.write_text(path.read_text().replace("$argon2id$v=19$m=65536,t=3,p=4$…", hashed))
    assert not [f for f in problems(loaded(folder)) if f.key.startswith("accounts")]
    assert right in path.read_text()
    path.write_text(path.read_text().replace(right, wrong, 1))
    (finding,) = [f for f in problems(loaded(folder)) if f.key.startswith("accounts")]
    assert (finding.fatal, says in finding.what) == (fatal, True), finding
    assert hashed not in str(finding)


@pytest.mark.parametrize(
    ("zone", "fatal", "word"),
    [("parasol.example.org", True, "origin"), ("w.parasol.example.org", True, "origin"), ("example.org", True, "origin"),
     ("work.example.org", False, "same registrable domain"), ("workspaces-example.net", None, "")],
)  # fmt: skip
def test_workspaces_lie_on_another_domain(folder: Path, zone: str, fatal: bool | None, word: str) -> None:
    change(folder, ('"workspaces-example.net"', f'"{zone}"'))
    about = [f for f in problems(loaded(folder)) if "Public Suffix" not in f.what and f.key.endswith("zone")]
    assert [f.fatal for f in about] == ([] if fatal is None else [fatal])
    assert all(word in f.what and "another registrable domain" in f.mend for f in about)


def test_a_folder_too_deep_for_sockets_is_named(folder: Path) -> None:
    change(folder, (f'folder = "{folder / "state"}/workspaces"', f'folder = "/tmp/{"x" * 90}"'))
    assert "too long for a Unix socket" in mistake(folder)


def test_fatal_findings_come_first(folder: Path) -> None:
    (folder / "umbrella.secret").unlink()
    order = [f.fatal for f in problems(loaded(folder))]
    assert order == sorted(order, reverse=True)
    assert True in order
    assert False in order
    assert str(check.Finding("a", "B.", "C.", fatal=False)) == "WARNING a: B. C."


# --- as a command


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "facility-agent", *words, "-c", folder / "agent.toml"], capture_output=True, text=True, timeout=60
    )


@pytest.mark.needs("ordinary-user")
def test_check_says_what_it_found_and_fails_only_for_fatal_things(folder: Path) -> None:
    good = run(folder, "check")
    assert (good.returncode, good.stderr) == (0, "")
    assert "WARNING gateway.workspace_zone" in good.stdout
    (folder / "umbrella.secret").chmod(0o644)
    bad = run(folder, "check")
    assert bad.returncode == 1
    assert "ERROR gateway.umbrella.client_secret_file" in bad.stdout
    assert "a secret" not in bad.stdout + bad.stderr


def test_a_typo_is_exit_code_2_and_one_line(folder: Path) -> None:
    change(folder, ("country =", "contry ="))
    for command in ("check", "agent", "gateway", "key"):
        done = run(folder, command)
        assert done.returncode == 2
        assert done.stderr == f"{folder / 'agent.toml'}: facility.contry: is not a known key\n"
