"""A helper with its folders, two accounts that no system knows, and an agent: this process, as nobody."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from facility_agent.adapters.compute.process_account import AccountCompute, Means
from facility_agent.adapters.compute.process_helper import Helper
from facility_agent.ports.directory import Account
from tests.components import ROOT
from tests.waiting import until

AGENT = 65534
"""Of nobody and its group: in every password file."""
_libc = ctypes.CDLL(None, use_errno=True)
_CALLS = {"x86_64": {"setresuid": 117, "setresgid": 119}, "aarch64": {"setresuid": 147, "setresgid": 149}}
"""The kernel's numbers (asm/unistd.h)."""
PROGRAM = os.path.realpath(sys.executable)


@contextmanager
def as_root() -> Iterator[None]:
    """Root's business within a test; it is the agent before and after. Other threads stay the agent: they may be writing its files."""
    _be(0, 0)
    try:
        yield
    finally:
        _be(AGENT, AGENT)


def _be(uid: int, gid: int) -> None:
    """Of this thread alone: the kernel's own call, which the C library makes for every thread."""
    for name, number in (
        (("setresgid", gid), ("setresuid", uid)) if uid else (("setresuid", uid), ("setresgid", gid))
    ):
        call = ctypes.c_long(_CALLS[platform.machine()][name])
        if _libc.syscall(call, ctypes.c_long(number), ctypes.c_long(number), ctypes.c_long(0)):
            raise OSError(ctypes.get_errno(), name)


def as_agent() -> None:
    """Be the agent, with a way back."""
    os.setgroups([])
    os.setresgid(AGENT, AGENT, 0)
    os.setresuid(AGENT, AGENT, 0)


class HelperSite:
    """`folder` is root's; `agent` in it is the agent's."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder, self.socket = folder, folder / "run" / "helper.sock"
        self.state, self.workspaces, self.agent = folder / "state", folder / "w", folder / "agent"
        for each, mode in (
            (self.socket.parent, 0o755),
            (self.state, 0o700),
            (self.workspaces, 0o711),
            (self.agent, 0o700),
        ):
            each.mkdir()
            each.chmod(mode)
        os.chown(self.agent, AGENT, AGENT)
        self.ada, self.ben = self.account("ada", 61_201), self.account("ben", 61_202)
        self.configuration = folder / "helper.toml"
        self.configure(**settings)
        self._process: subprocess.Popen[bytes] | None = None

    def account(self, name: str, uid: int) -> Account:
        """An account with two more groups and a home."""
        home = self.folder / name
        home.mkdir(mode=0o700)
        os.chown(home, uid, uid)
        return Account(name, f"id-{name}", uid, uid, (61_301, uid + 200), home)

    def processed(self) -> Path:
        """A folder of a proposal's group, in which ada may write and what is made is the group's."""
        with as_root():
            folder = Path(tempfile.mkdtemp(prefix="processed-", dir=self.folder))
            os.chown(folder, 0, 61_301)
            folder.chmod(0o2770)
        return folder

    def configure(self, **settings: Any) -> None:
        """Write its configuration."""
        values = {
            "agent": "nobody", "socket": str(self.socket), "state": str(self.state), "folder": str(self.workspaces),
            "nss": False, "programs": [{"path": PROGRAM, "variables": ["SECRET"]}], **settings,
        }  # fmt: skip
        self.configuration.write_text("\n".join(f"{key} = {_toml(value)}" for key, value in values.items()))
        self.configuration.chmod(0o644)

    def command(self) -> list[str]:
        """What starts it."""
        return [sys.executable, "-m", "facility_agent.helper.server", "-c", str(self.configuration)]

    def start(self, *around: str) -> None:
        """Start it, as root, and wait until it answers."""
        with as_root(), (self.folder / "helper.log").open("ab") as log:
            environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "MARK": "of the helper"}
            self._process = subprocess.Popen(
                [*around, *self.command()],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )
        until(self._is_up, f"the helper answers; it said: {self.said()}", 20)

    def said(self) -> str:
        """Its log."""
        with as_root():
            return (self.folder / "helper.log").read_text()

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.said()
        try:
            return "ok" in self.ask("describe")
        except OSError:
            return False

    def kill(self) -> None:
        """kill -9 of the helper alone; what it started goes on."""
        assert self._process is not None
        with as_root():
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)

    def ask(self, verb: str, **fields: Any) -> dict[str, Any]:
        """One question as the agent."""
        return self.say(json.dumps({"verb": verb, **fields}).encode())

    def say(self, body: bytes, size: int | None = None) -> dict[str, Any]:
        """One message whose length may be a lie; nothing follows it."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(str(self.socket))
            with suppress(BrokenPipeError, ConnectionResetError):  # it may refuse before it has read all
                connection.sendall((len(body) if size is None else size).to_bytes(4, "big") + body)
                connection.shutdown(socket.SHUT_WR)
            answer = b""
            with suppress(ConnectionResetError):  # it has closed; what it said before is there
                while part := connection.recv(65536):
                    answer += part
        assert int.from_bytes(answer[:4], "big") == len(answer) - 4
        said: dict[str, Any] = json.loads(answer[4:])
        return said

    def backend(self, name: str) -> AccountCompute:
        """The adapter of an agent with this state."""
        state = self.agent / name
        state.mkdir(exist_ok=True, mode=0o700)
        return AccountCompute(Means(self.workspaces, 2), state, Helper(self.socket))

    def traces(self) -> list[str]:
        """What it has made so far: records and folders."""
        with as_root():
            made = [*self.state.iterdir(), *self.workspaces.iterdir()]
        return sorted(path.name for path in made if path.name != "helper.lock")


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


@contextmanager
def helper_site(**settings: Any) -> Iterator[HelperSite]:
    """A folder and a configuration, gone at the end; the helper is not started."""
    with as_root():
        folder = Path(tempfile.mkdtemp(prefix="ph-", dir="/tmp"))
        folder.chmod(0o755)
        site = HelperSite(folder, **settings)
    try:
        yield site
    finally:
        if site._process is not None and site._process.poll() is None:
            site.kill()
        with as_root():
            _end_all(folder)
            shutil.rmtree(folder)


def _end_all(folder: Path) -> None:
    """Whatever a failed test left running: each workspace's keeper, by its own record."""
    from facility_agent.adapters.compute.supervisor import is_alive, read_record

    for path in (folder / "state").glob("*.run"):
        running = read_record(path)
        if running and is_alive(running):
            os.kill(running["pid"], signal.SIGTERM)
            until(lambda path=path: path.with_suffix(".exit").exists(), "the workspace ends")  # type: ignore[misc]


def as_other(uid: int, gid: int, *command: str) -> subprocess.CompletedProcess[str]:
    """Run something as somebody else, without any confinement."""
    with as_root():
        around = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
        return subprocess.run([*around, *command], capture_output=True, text=True, timeout=60, cwd="/")
