"""A facility in a trial: its agent as a process with the real core and store, and the ledger as its compute backend."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from facility_agent.link.keys import load_or_create_key, public_text
from tests.chaos import stacks
from tests.chaos.ledger import entries, install
from tests.chaos.proxy import FaultProxy
from tests.components import ROOT
from tests.integration.openid import Op
from tests.waiting import alive, until

BIN = Path(sys.executable).parent
CONNECTED = re.compile(r"Connected to the hub, session \S+, epoch (\d+)")
ENDED = re.compile(r"The link ended \(|The next session is opened before")
LOST = re.compile(r"The link ended \(|agent is up; its socket is open")
_HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2E$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


@dataclass(frozen=True)
class Timers:
    """Seconds of the link: those of service, or a tenth."""

    heartbeat: float = 8.0
    dead_after: float = 24.0
    hello: float = 10.0
    lease: float = 30.0
    longest_pause: float = 30.0
    refused_pause: float = 300.0
    stable_after: float = 60.0

    def times(self, share: float) -> Timers:
        return Timers(*(getattr(self, name) * share for name in self.__dataclass_fields__))


TENTH = replace(Timers().times(0.1), hello=4.0)
"""A handshake is work: a tenth of its time may be less than a loaded machine needs for it."""


def _private(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


@dataclass
class Site:
    """One facility. `folder` is short, for the sake of Unix sockets."""

    name: str
    folder: Path
    op: Op
    timers: Timers
    people: tuple[str, ...] = ()
    hub: str = ""
    proxy: FaultProxy = field(default_factory=FaultProxy)
    process: subprocess.Popen[bytes] | None = None
    listener: threading.Thread | None = None
    extra: dict[str, str] = field(default_factory=dict)
    enrolled: bool = False

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.gateway = f"http://{self.name}.localhost:9"
        self.key = load_or_create_key(self.folder / "agent.key")
        self.hub = self.hub or f"127.0.0.1:{self.proxy.port}"
        self.socket, self.state = self.folder / "run" / "s", self.folder / "state"
        self.log, self.ledger = self.folder / "agent.log", self.folder / "ledger"
        self.seen = 0

    @property
    def table(self) -> str:
        """Its rows in federation.toml."""
        key = "" if self.enrolled else f'public_key = "{public_text(self.key)}"\n'
        return (
            f'[[facilities]]\nid = "{self.name}"\nname = "{self.name.title()}"\n{key}'
            f'gateway = "{self.gateway}"\nworkspace_zone = "{self.name}.w.localhost:9"\n'
        )

    def write(self, people: tuple[str, ...]) -> None:
        """Its configuration."""
        self.people = people
        for name in ("data", "run", "plugins"):
            (self.folder / name).mkdir(mode=0o700, exist_ok=True)
        install(self.folder / "plugins")
        _private(self.folder / "umbrella.secret", self.op.client_secret)
        accounts = [
            f'[[accounts]]\nusername = "{who}"\nimmutable_id = "{uid}"\ndisplay_name = "{who}"\npassword = "{_HASH}"\n'
            f'uid = {uid}\ngid = {uid}\ngroups = [40000]\nhome = "/home/{who}"\nproposals = []\n'
            for uid, who in enumerate(people, 20_001)
        ]
        _private(self.folder / "accounts.toml", "\n".join(accounts))
        _private(self.folder / "agent.toml", self._toml())

    def _toml(self) -> str:
        t = self.timers
        by_hand = "" if self.enrolled else f'hub = "{self.hub}"\nplaintext = true'
        return f"""
[facility]
id = "{self.name}"
name = "{self.name.title()}"
[centre]
portal = "http://portal.localhost:8"
key_file = "agent.key"
{by_hand}
[grants]
run_lifetime_s = 604800
[agent]
state = "state"
socket = "run/s"
[link]
heartbeat_s = {t.heartbeat}
dead_after_s = {t.dead_after}
hello_s = {t.hello}
longest_pause_s = {t.longest_pause}
refused_pause_s = {t.refused_pause}
stable_after_s = {t.stable_after}
[gateway]
listen = "127.0.0.1:9"
url = "{self.gateway}"
workspace_zone = "{self.name}.w.localhost:9"
[gateway.umbrella]
issuer = "{self.op.issuer}"
client_id = "{self.op.client_id}"
client_secret_file = "umbrella.secret"
[accounts]
adapter = "file"
[accounts.file]
path = "accounts.toml"
[catalogue]
adapter = "nexus_folder"
[catalogue.nexus_folder]
folder = "data"
[compute]
adapter = "ledger"
[compute.ledger]
file = "ledger"
[limits]
workspaces_per_account = 1000
[[flavours]]
id = "small"
title = "Small"
cpus = 1
memory = "1MiB"
longest = "8h"
[[environments]]
id = "app"
title = "App"
used_as = "terminal"
flavours = ["small"]
command = ["true"]
"""

    # --- its agent

    def variables(self) -> dict[str, str]:
        path = dict.fromkeys(
            [str(self.folder / "plugins"), str(ROOT), *os.environ.get("PYTHONPATH", "").split(":")]
        )
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPYCACHEPREFIX") if name in os.environ}
        return kept | {"PYTHONPATH": ":".join(filter(None, path))}

    def start(self, *, wait: bool = True, **more: str) -> None:
        """Start the agent; with `wait` until the hub has let it in."""
        self._all_said()
        self.seen = len(self.text())
        command = [BIN / "facility-agent", "agent", "-c", self.folder / "agent.toml"]
        self.process = subprocess.Popen(
            command, env=self.variables() | self.extra | more, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.listener = threading.Thread(target=self._listen, args=(self.process.stdout,), daemon=True)
        self.listener.start()
        if wait:
            self.connected()

    def _listen(self, pipe: IO[bytes]) -> None:
        """The agent's words go through this process: a disk that is full for the agent does not silence it."""
        with pipe, self.log.open("ab", buffering=0) as log:
            while words := os.read(pipe.fileno(), 65536):
                log.write(words)

    def _all_said(self) -> None:
        """Wait for the last words of an agent that has ended."""
        if self.listener is not None:
            self.listener.join(10)

    def enrol(self, token: str) -> None:
        """With a token of the centre's."""
        self.operate("enrol", "--token", token)

    def operate(self, verb: str, *more: str) -> None:
        """One of the operator's commands."""
        command = [BIN / "facility-agent", verb, "-c", self.folder / "agent.toml", *more]
        done = subprocess.run(
            command, env=self.variables() | self.extra, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr

    def connected(self, within: float = 60.0) -> None:
        """Wait for a session since the last start or `mark`."""
        until(lambda: CONNECTED.search(self.news()) or not self._runs(), f"{self.name} is connected", within)
        assert self._runs(), self.text()[-3000:]

    def back(self, within: float = 60.0) -> None:
        """Wait until it has a session, whenever that was opened."""
        until(lambda: self._stands() or not self._runs(), f"{self.name} is back", within)
        assert self._runs(), self.text()[-3000:]

    def _stands(self) -> bool:
        text = self.text()
        opened = max((m.start() for m in CONNECTED.finditer(text)), default=-1)
        return opened > max((m.start() for m in LOST.finditer(text)), default=-1)

    def _runs(self) -> bool:
        return self.process is not None and alive(self.process)

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def news(self) -> str:
        """What the agent has said since the last start or `mark`."""
        return self.text()[self.seen :]

    def mark(self) -> None:
        self.seen = len(self.text())

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self._all_said()
            self.process = None

    def stop(self) -> None:
        """As its service manager stops it."""
        process = self.process
        assert process is not None
        process.terminate()
        try:
            until(lambda: not alive(process), f"{self.name} stops", 20)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.stacks()}") from None
        code = process.returncode
        self._all_said()
        assert code == 0, f"{self.name} ended with {code}: {self.text()[-2000:]}"
        self.process = None

    def stacks(self) -> str:
        """What the agent is doing, as far as it says."""
        begin = len(self.text())
        self.send(stacks.ASK)
        with suppress(AssertionError):
            until(lambda: stacks.END in self.text()[begin:], "the stacks", 5)
        return self.text()[begin:]

    def died(self, within: float = 60.0) -> None:
        """Wait until the agent has been ended by its crash point."""
        process = self.process
        assert process is not None
        try:
            until(lambda: not alive(process), f"{self.name} reaches its crash point", within)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.text()[-3000:]}") from None
        self._all_said()
        assert process.returncode == -signal.SIGKILL, self.text()[-2000:]
        self.process = None

    def close(self) -> None:
        self.kill()
        self.proxy.close()

    # --- what it left behind

    def effects(self) -> list[str]:
        """The ledger's lines."""
        return entries(self.ledger)

    def epochs(self) -> list[int]:
        """Of its sessions, in the order in which they were opened."""
        return [int(found) for found in CONNECTED.findall(self.text())]


def until_noticed(site: Site, since: float, within: float) -> float:
    """Seconds from `since` until the agent said that its link had ended."""
    until(lambda: ENDED.search(site.news()), f"{site.name} notices", within)
    return time.monotonic() - since
