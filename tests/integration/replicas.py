"""The centre as several web and hub processes over PostgreSQL, with or without Redis, and one facility."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.balancer import Balancer
from tests.integration.openid import Op
from tests.integration.tab import Tab
from tests.integration.whole_centre import BIN, Facility, kept_variables, write_federation
from tests.waiting import alive, free_port, http_status, until

FRONT = 8
"""The origin's port: browsers reach a web process by its own, as behind a proxy."""


@dataclass
class Part:
    """A process of the centre. `port` is where it serves, `ops` where its health and metrics are."""

    name: str
    port: int
    ops: int
    process: subprocess.Popen[bytes]
    log: Path

    def healthy(self) -> bool:
        return http_status(self.ops, "/healthz", "127.0.0.1") == 200 and (
            self.name.startswith("hub") or http_status(self.port, "/healthz", f"portal.localhost:{FRONT}") == 200
        )

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        """As its keeper stops it."""
        self.send(signal.SIGTERM)
        assert self.process.wait(20) == 0, self.log.read_text()


@dataclass
class Replicas:
    """What runs."""

    folder: Path
    op: Op
    facility: Facility
    balancer: Balancer
    environment: dict[str, str]
    parts: list[Part] = field(default_factory=list)

    def start(self, kind: str, **changes: str) -> Part:
        """Start one more `web` or `hub`, and wait until it serves."""
        port, ops, number = free_port(), free_port(), len(self.parts)
        where = "PARASOL_LISTEN" if kind == "web" else "PARASOL_HUB_LISTEN"
        variables = self.environment | {
            where: f"127.0.0.1:{port}", "PARASOL_METRICS": f"127.0.0.1:{ops}", **changes,
        }  # fmt: skip
        log = self.folder / f"{kind}-{number}.log"
        with log.open("wb") as out:
            process = subprocess.Popen([BIN / "central-portal", kind], env=variables, stdout=out, stderr=out)
        part = Part(f"{kind}-{number}", port, ops, process, log)
        self.parts.append(part)
        until(lambda: part.healthy() or not alive(process), f"{part.name} serves")
        assert alive(process), log.read_text()
        if kind == "hub":
            self.balancer.targets.append(port)
        return part

    def run(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """One command of the centre's."""
        return subprocess.run(
            [BIN / "central-portal", *arguments], env=self.environment | changes, capture_output=True, text=True,
            timeout=60,
        )  # fmt: skip

    def tab(self, web: Part, like: Tab | None = None) -> Tab:
        """A browser at one of the web processes; with the cookies of another tab, as behind a proxy."""
        return Tab(FRONT, like.cookies if like else {}, web.port)

    def agent(self) -> dict[str, Any]:
        """The facility as `central-portal agents --json` shows it."""
        done = self.run("agents", "--json")
        (shown,) = json.loads(done.stdout)
        return dict(shown)


def online(tab: Tab) -> bool:
    """Whether a web process shows the facility as connected."""
    (node,) = tab.graphql("{facilities{nodes{state}}}")["facilities"]["nodes"]
    return bool(node["state"] == "ONLINE")


@contextmanager
def running_replicas(folder: Path, op: Op, database: str, redis: str = "") -> Iterator[Replicas]:
    """Nothing but the migrated database yet; every process that a test starts is gone at the end."""
    balancer = Balancer()
    facility = Facility(folder, f"127.0.0.1:{balancer.port}")
    environment = {
        "PATH": os.environ["PATH"], "PARASOL_ORIGIN": f"http://portal.localhost:{FRONT}",
        "PARASOL_HUB_PLAINTEXT": "1", "PARASOL_HUB_DRAIN": "3", "PARASOL_DATA": str(folder / "data"), "PARASOL_DATABASE": database,
        "PARASOL_REDIS": redis, "PARASOL_FEDERATION": str(write_federation(folder, op, facility)),
        **kept_variables(),
    }  # fmt: skip
    replicas = Replicas(folder, op, facility, balancer, environment)
    try:
        done = replicas.run("migrate")
        assert done.returncode == 0, done.stderr
        facility.linked()
        yield replicas
    finally:
        facility.close()
        for part in replicas.parts:
            if alive(part.process):
                part.kill()
        balancer.close()
