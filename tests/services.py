"""PostgreSQL and Redis as an ordinary user starts them: in a folder of their own, on a socket or a free port."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.components import path_of
from tests.waiting import free_port, until

NOBODY = 65534


class Postgres:
    """A server on a Unix socket, without fsync unless asked for. `url` is what PARASOL_DATABASE takes."""

    def __init__(self, folder: Path, *, fsync: bool = False) -> None:
        self._bin, self.folder = Path(path_of("postgresql")), folder
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c max_connections=200"
        self._options = options if fsync else f"{options} -c fsync=off"
        self.url = f"postgresql://app@/postgres?host={folder}"
        self._run("initdb", "-U", "app", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._run("pg_ctl", "-w", "-o", self._options, "-l", str(self.folder / "log"), "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it; with `immediate` as in a crash."""
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    def database(self, name: str) -> str:
        """The URL of a new, empty database."""
        statement = f'create database "{name}"'
        subprocess.run(
            [self._bin / "psql", self.url, "-qc", statement],
            check=True,
            capture_output=True,
            env={"PGUSER": "app"},
        )
        return f"postgresql://app@/{name}?host={self.folder}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [*_as_somebody(), str(self._bin / program), "-D", str(self.folder / "data"), *arguments]
        # Its children must not inherit a pipe: nobody would see its end.
        with (self.folder / f"{program}.out").open("wb") as out:
            done = subprocess.run(command, stdout=out, stderr=out, cwd="/")
        text = (self.folder / f"{program}.out").read_text()
        assert done.returncode == 0, f"{program}: {text}"


def _as_somebody() -> list[str]:
    """PostgreSQL refuses root, and wants its user in the password file.

    Who is not in there is nobody in a namespace of their own. Not `subprocess`'s user=: it forks, and gRPC's threads
    in this process do not survive that.
    """
    if os.getuid() == 0:
        return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        return ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}"]
    return []


@contextmanager
def running_postgres(*, fsync: bool = False) -> Iterator[Postgres]:
    """A server of one's own, gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="parasol-pg-", dir="/tmp"))
    try:
        if os.getuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        server = Postgres(folder, fsync=fsync)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder)


class RedisServer:
    """A server on a free port of 127.0.0.1 that stores nothing."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it on the same port as before and wait until it answers."""
        command = [
            path_of("redis"), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
        ]  # fmt: skip
        null = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdin=null, stdout=null, stderr=null, cwd="/")
        until(self._answers, "Redis answers")

    def _answers(self) -> bool:
        import redis

        with redis.Redis(port=self.port) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    def kill(self) -> None:
        """kill -9."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(10)
        self._process = None

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def close(self) -> None:
        """Kill it if it runs."""
        if self._process is not None:
            self.kill()


@contextmanager
def running_redis() -> Iterator[RedisServer]:
    """A server of one's own, gone at the end."""
    server = RedisServer()
    server.start()
    try:
        yield server
    finally:
        server.close()
