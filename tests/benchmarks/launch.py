"""Launch-to-ready through Parasol against starting the same JupyterLab by hand, interleaved."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from deploy.demo import prepare
from deploy.demo.check import free_base
from deploy.demo.journey import Journey
from deploy.demo.world import World
from tests.benchmarks.measure import Figure, median
from tests.waiting import until

ROUNDS = 4


class _UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("workspace", timeout=2)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def _answers(path: Path) -> bool:
    try:
        connection = _UnixHTTP(path)
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except OSError:
        return False


def by_hand() -> float:
    """Seconds from starting JupyterLab as the demo does to its first HTTP answer."""
    environment = prepare.notebook_environment(print)
    with tempfile.TemporaryDirectory(prefix="ph-") as name:
        work = Path(name) / "work"
        (work / "scratch").mkdir(parents=True)
        begun = time.perf_counter()
        command = [
            environment / "bin" / "python",
            prepare.HERE / "environment" / "start.py",
            work,
            Path(name) / "s",
        ]
        variables = {"PATH": os.environ["PATH"], "HOME": str(work), "JUPYTER_TOKEN": "x"}
        process = subprocess.Popen(
            command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            until(lambda: _answers(Path(name) / "s"), "JupyterLab answers", 60)
            return time.perf_counter() - begun
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run() -> list[Figure]:
    """The median of both, interleaved."""
    hand, ours = [], []
    with World(free_base(), say=lambda _: None) as world:
        person = Journey(world.addresses)
        person.sign_in()
        person.connect("alpha")
        dataset = person.find(facilities=["Facility:alpha"])
        for _ in range(ROUNDS):
            hand.append(by_hand())
            again = Journey(world.addresses, person.person)
            again.browser = person.browser
            begun = time.perf_counter()
            again.launch(dataset)
            ours.append(time.perf_counter() - begun)
            again.stop()
    value, floor = median(ours), median(hand)
    note = f"adds {1000 * (value - floor):.0f} ms"
    return [
        Figure(
            "launch to ready",
            value,
            floor,
            "s",
            "the same JupyterLab by hand",
            "+ <= 0.25 s",
            value - floor <= 0.25,
            note,
        )
    ]
