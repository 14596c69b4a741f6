"""All processes of the demo: prepared, configured, started, watched over, and gone afterwards."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import requests

from deploy.demo import data, prepare
from deploy.demo.configure import Addresses, Folders, write_configuration
from deploy.demo.ground import Ground
from deploy.demo.people import PEOPLE
from shared import resolver

Say = Callable[[str], None]
BIN = Path(sys.executable).parent


@dataclass
class Process:
    """One supervised process. It is started again when it ends unasked, as a service manager would."""

    name: str
    command: list[str]
    log: Path
    variables: dict[str, str] = field(default_factory=dict)
    popen: subprocess.Popen[bytes] | None = None
    held: bool = False

    def start(self) -> None:
        """Start it."""
        environment = {
            "PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1", **self.variables,
        }  # fmt: skip
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                self.command,
                env=environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.popen is not None
        return self.popen.pid

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""


class World:
    """`with World() as world:` runs the federation. `data_folder` is served at alpha instead of simulated data."""

    def __init__(
        self, base_port: int = 8000, data_folder: Path | None = None, say: Say = lambda _: None, *,
        query_deadline: float = 5.0, ground: Ground | None = None,
    ) -> None:  # fmt: skip
        self.addresses = Addresses(base_port)
        self._data, self._say, self._query_deadline, self._ground = data_folder, say, query_deadline, ground
        self.processes: dict[str, Process] = {}
        self.folder = Path()
        self._stop = threading.Event()
        self._keeper: threading.Thread | None = None

    def __enter__(self) -> World:
        resolver.install()
        modules = prepare.oidc_modules(self._say)
        environment = prepare.notebook_environment(self._say)
        self.folder = Path(tempfile.mkdtemp(prefix="parasol-"))
        try:
            self._configure(modules, environment)
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _configure(self, modules: Path, environment: Path) -> None:
        folders = Folders(self.folder, modules, environment)
        for facility in ("alpha", "beta"):
            target = folders.data(facility)
            if facility == "alpha" and self._data is not None:
                continue
            self._say(f"simulating measurements at {facility}")
            target.mkdir(parents=True)
            data.write(facility, target)
        commands = write_configuration(
            folders, self.addresses, self._data, self._query_deadline, BIN, self._ground
        )
        if self._ground:
            self.folder.chmod(0o711)
            self._ground.share(folders.data("alpha"), folders.processed("alpha"))
        for name, (command, variables) in commands.items():
            self.processes[name] = Process(name, command, self.folder / f"{name}.log", variables)

    def _start(self) -> None:
        for name in (
            "umbrella",
            "sign-on",
            "centre",
            "alpha-agent",
            "beta-agent",
            "alpha-gateway",
            "beta-gateway",
        ):
            self.processes[name].start()
        self._say("starting seven processes")
        a = self.addresses
        for url, name in (
            (f"{a.umbrella}/.well-known/openid-configuration", "umbrella"),
            (f"{a.sign_on}/.well-known/openid-configuration", "sign-on"),
            (f"{a.portal}/healthz", "centre"),
            (f"{a.gateway('alpha')}/healthz", "alpha-gateway"),
            (f"{a.gateway('beta')}/healthz", "beta-gateway"),
        ):
            self.wait(lambda url=url: _answers(url), name)  # type: ignore[misc]
        self.wait(self._online, "alpha-agent")
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def _online(self) -> bool:
        """Whether both facilities are connected and have read their folders."""
        query = "{search(query:{}){outcomes{outcome}}}"
        found = requests.post(f"{self.addresses.portal}/graphql", json={"query": query}, timeout=20).json()
        return all(o["outcome"] == "OK" for o in found["data"]["search"]["outcomes"])

    def wait(self, ready: Callable[[], bool], name: str, deadline: float = 60.0) -> None:
        """Wait until `ready`. Raises RuntimeError with the end of the log of process `name`."""
        end = time.monotonic() + deadline
        while not ready():
            process = self.processes[name]
            ended = process.popen is not None and process.popen.poll() is not None and not self._keeper
            if ended or time.monotonic() > end:
                raise RuntimeError(f"{name} is not up:\n{process.tail()}")
            self._stop.wait(0.05)

    def _keep(self) -> None:
        while not self._stop.wait(0.5):
            for process in self.processes.values():
                if process.popen is not None and process.popen.poll() is not None and not process.held:
                    process.start()

    def close(self) -> None:
        """End every process, workspaces included, and remove every file."""
        self._stop.set()
        if self._keeper is not None:
            self._keeper.join(5)
        for process in self.processes.values():
            if process.popen is not None and process.popen.poll() is None:
                process.popen.send_signal(signal.SIGCONT)
                process.popen.terminate()
        for process in self.processes.values():
            if process.popen is not None:
                try:
                    process.popen.wait(8)
                except subprocess.TimeoutExpired:
                    process.popen.kill()
                    process.popen.wait()
        self._end_workspaces()
        if self.folder != Path():
            _make_writable(self.folder)
            shutil.rmtree(self.folder, ignore_errors=True)

    def _end_workspaces(self) -> None:
        """Workspaces outlive their agent by design, so the demo ends them by itself."""
        running = list(self.folder.glob("*/state/compute-process/*.run")) if self.folder != Path() else []
        for number in (signal.SIGTERM, signal.SIGKILL):
            for record in running:
                pid = json.loads(record.read_text())["pid"]
                for _ in range(100 if number == signal.SIGTERM else 1):
                    if record.with_suffix(".exit").exists() or not _signal(pid, number):
                        break
                    time.sleep(0.05)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to a process; the supervisor starts it again when it ends."""
        os.kill(self.processes[name].pid, number)

    def people(self) -> str:
        """Who can sign in, for people to read."""
        lines = []
        for person in PEOPLE:
            accounts = ", ".join(f"{f}: {u} / {p}" for f, (u, p, _) in person.accounts.items() if f == "beta")
            lines.append(
                f"  {person.name}: choose “{person.login}” at UmbrellaID; at Alpha choose the same person; at Beta {accounts.removeprefix('beta: ')}"
            )
        return "\n".join(lines)


def _signal(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False


def _make_writable(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink() and path.stat().st_uid == os.getuid():
            path.chmod(0o700)
