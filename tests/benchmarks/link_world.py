"""What the link's benchmarks run against: a hub with PostgreSQL and Redis, or none of them; facilities; an echo."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from facility_agent.link.keys import load_or_create_key, public_text
from tests.benchmarks.link_agents import slug_of
from tests.certificates import self_signed
from tests.components import ROOT
from tests.services import Postgres, running_postgres, running_redis
from tests.waiting import free_port, http_status, until

BIN = Path(sys.executable).parent


class LinkWorld:
    """`driver` measures as a web process, or as the whole embedded centre."""

    def __init__(self, folder: Path, stack: ExitStack, facilities: int) -> None:
        self.folder, self._stack, self._facilities = folder, stack, facilities
        self.hub_port, self.echo_port = free_port(), free_port()
        self.environment = _environment(folder, self.hub_port, facilities)
        self.postgres: Postgres | None = None
        self._spawn(sys.executable, "-m", "tests.chaos.herd", "serve", str(self.echo_port), str(folder))

    def _spawn(self, *command: str | Path, **pipes: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, cwd=ROOT, env=self.environment, **pipes)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def scaled(self) -> None:
        """PostgreSQL that syncs, Redis, a hub process."""
        self.postgres = self._stack.enter_context(running_postgres(fsync=True))
        redis = self._stack.enter_context(running_redis())
        ops = free_port()
        self.environment |= {"PARASOL_DATABASE": self.postgres.database("link"), "PARASOL_REDIS": redis.url}
        self._migrate()
        with (self.folder / "hub.log").open("wb") as log:
            self._spawn(
                "env", f"PARASOL_METRICS=127.0.0.1:{ops}", BIN / "central-portal", "hub", stdout=log, stderr=log
            )
        until(lambda: http_status(ops, "/healthz", "127.0.0.1") == 200, "the hub serves")
        self._start_agents()

    def embedded(self) -> None:
        """SQLite, and the hub in the driver's own process."""
        self._migrate()
        self._start_agents()

    def _migrate(self) -> None:
        subprocess.run([BIN / "central-portal", "migrate"], env=self.environment, check=True)

    def _start_agents(self) -> None:
        module = "tests.benchmarks.link_agents"
        arguments = (str(self.folder), str(self.hub_port), str(self._facilities))
        self._spawn(sys.executable, "-m", module, *arguments, stdout=subprocess.PIPE)

    def driver(self, shape: str, what: str, number: int, seconds: float = 0.0) -> dict[str, Any]:
        """What it measured."""
        module = "tests.benchmarks.link_driver"
        arguments = (shape, str(self.folder), str(self.echo_port), what, str(number), str(seconds))
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments], cwd=ROOT, env=self.environment, stdout=subprocess.PIPE,
            timeout=300, check=True,
        )  # fmt: skip
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def _environment(folder: Path, hub_port: int, facilities: int) -> dict[str, str]:
    certificate, key = self_signed(folder / "hub")
    public = public_text(load_or_create_key(folder / "agents.key"))
    (folder / "federation.toml").write_text("".join(
        f'[[facilities]]\nid = "{slug_of(n)}"\nname = "L"\npublic_key = "{public}"\n'
        f'gateway = "http://{slug_of(n)}.localhost:9"\nworkspace_zone = "{slug_of(n)}.w.localhost:9"\n'
        for n in range(facilities)
    ))  # fmt: skip
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPYCACHEPREFIX", "HOME") if name in os.environ}
    return kept | {
        "PYTHONPATH": str(ROOT), "PARASOL_DATA": str(folder / "centre"), "PARASOL_HUB_LISTEN": f"127.0.0.1:{hub_port}",
        "PARASOL_FEDERATION": str(folder / "federation.toml"), "PARASOL_HUB_CERTIFICATE": str(certificate),
        "PARASOL_HUB_KEY": str(key), "PARASOL_HUB_CA": str(certificate), "PARASOL_HUB_NAME": "localhost",
        "PARASOL_HUB_MUTUAL_LISTEN": "",
    }  # fmt: skip


@contextmanager
def link_world(facilities: int) -> Iterator[LinkWorld]:
    """One that is gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="pbl-", dir="/var/tmp"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield LinkWorld(folder, stack, facilities)
