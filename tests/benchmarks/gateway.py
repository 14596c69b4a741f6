"""The gateway in front of a real workspace, beside a direct connection to it and npm's configurable-http-proxy."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.demo import prepare
from tests.benchmarks.load import download, drive, request, round_trips
from tests.benchmarks.measure import Figure, cpu_of, median, on_one_cpu, percentile
from tests.integration.openid import Op, serving
from tests.integration.whole_facility import PASS, WholeFacility, whole_facility
from tests.waiting import free_port, http_status, until

ROUNDS = 5
SMALL, CONNECTIONS, ALONE = 10_000, 32, 1000
BIG = 100 * 10**6
ECHOES = 3000
# As Chromium sends them with a fetch from a workspace's page.
BROWSER = (
    ("Connection", "keep-alive"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"),
    ("Accept", "*/*"), ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"), ("Accept-Language", "en-US,en;q=0.9"),
)  # fmt: skip
SOCKET = (
    ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)  # fmt: skip


@contextmanager
def configurable_http_proxy(upstream: int) -> Iterator[tuple[int, int]]:
    """(port, pid) of npm's proxy in front of a port."""
    modules = prepare.node_modules(Path(__file__).parent / "proxy", "configurable-http-proxy", print)
    port, api = free_port(), free_port()
    program = modules / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
    command = [
        str(prepare.node()), str(program), "--ip", "127.0.0.1", "--port", str(port), "--api-port", str(api),
        "--default-target", f"http://127.0.0.1:{upstream}", "--log-level", "error",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: http_status(port, "/", "x") == 200, "configurable-http-proxy")
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(10)


class Way:
    """One way to the same workspace: where to connect, and whose CPU counts (None: nobody stands between)."""

    def __init__(
        self, to: int | Path, pid: int | None, site: WholeFacility, workspace_id: str, cookie: str
    ) -> None:
        host = site.host_of(workspace_id)
        self._to, self._pid = to, pid
        headers = (*BROWSER, ("Cookie", f"_xsrf=2|7c1b; {PASS}={cookie}"))
        self._get = lambda path: request("GET", path, host, headers=headers)
        self._upgrade = request("GET", "/ws", host, headers=(*headers[1:], *SOCKET, ("Origin", f"http://{host}")))
        self.per_cpu: list[float] = []
        self.megabytes_per_s: list[float] = []
        self.megabytes_cpu: list[float] = []
        self.alone_s: list[float] = []
        self.echo_s: list[float] = []
        self.echo_cpu: list[float] = []

    def _cpu(self, work: Callable[[], object]) -> float:
        before = cpu_of(self._pid) if self._pid else 0.0
        work()
        return max(0.005, cpu_of(self._pid) - before) if self._pid else 0.0

    def small(self) -> None:
        def work() -> None:
            load = asyncio.run(drive(self._to, self._get("/"), SMALL, CONNECTIONS))
            assert load.bad == 0, f"{load.bad} answers were not 200"

        cpu = self._cpu(work)
        if self._pid:
            self.per_cpu.append(SMALL / cpu)

    def big(self) -> None:
        took: list[float] = []
        cpu = self._cpu(lambda: took.extend(download(self._to, self._get(f"/bytes/{BIG}"), BIG) for _ in range(3)))
        self.megabytes_per_s.append(BIG / 1e6 / median(took))
        self.megabytes_cpu.append(cpu / 3 * 1000)

    def alone(self) -> None:
        load = asyncio.run(drive(self._to, self._get("/"), ALONE, 1))
        self.alone_s.append(percentile(load.latencies, 0.5))

    def echo(self) -> None:
        took: list[float] = []
        cpu = self._cpu(lambda: took.extend(round_trips(self._to, self._upgrade, ECHOES)))
        self.echo_s.append(percentile(took, 0.5))
        self.echo_cpu.append(cpu / ECHOES * 1e6)


def run() -> list[Figure]:
    """Small requests, a download of 100 MB and WebSocket echoes, interleaved over the three ways."""
    with (
        tempfile.TemporaryDirectory(prefix="pg-") as name,
        serving(Op()) as op,
        whole_facility(Path(name), op) as site,
    ):
        workspace = site.launch(program="tcp")
        cookie = site.admit(workspace)
        with configurable_http_proxy(site.workspace_port) as (port, pid):
            direct = Way(site.endpoint(workspace).socket, None, site, workspace, cookie)
            ours = Way(site.port, site.gateway_pid, site, workspace, cookie)
            theirs = Way(port, pid, site, workspace, cookie)
            for _ in range(ROUNDS):
                for way in (ours, theirs, direct):
                    way.small()
                    way.big()
                with on_one_cpu(site.gateway_pid, pid, site.pid_of(workspace)):
                    for way in (ours, theirs, direct):
                        way.alone()
                        way.echo()
    return _figures(ours, theirs, direct)


def _figures(ours: Way, theirs: Way, direct: Way) -> list[Figure]:
    chp = "npm's configurable-http-proxy"
    small, other = median(ours.per_cpu), median(theirs.per_cpu)
    cpu = f"{median(ours.megabytes_cpu):.0f} ms CPU, theirs {median(theirs.megabytes_cpu):.0f} ms"
    echo = f"{median(ours.echo_cpu):.0f} µs CPU each, theirs {median(theirs.echo_cpu):.0f} µs"
    rate, beside, bare = (median(way.megabytes_per_s) for way in (ours, theirs, direct))
    small_trip, small_beside, small_bare = (median(way.alone_s) * 1e6 for way in (ours, theirs, direct))
    trip, trip_beside, trip_bare = (median(way.echo_s) * 1e6 for way in (ours, theirs, direct))
    name = "gateway, download of 100 MB"
    return [
        Figure(
            "gateway, small requests", small, other, "req/CPU-s", chp, "> 1x", small > other,
            samples=tuple(ours.per_cpu),
        ),
        Figure(
            "gateway, one small request, p50", small_trip, small_bare, "µs", "a direct connection", "-", None,
            f"through {chp} {small_beside:.0f} µs",
        ),
        Figure(name, rate, beside, "MB/s", chp, "> 1x", rate > beside, cpu, tuple(ours.megabytes_per_s)),
        Figure(name, rate, bare, "MB/s", "a direct connection", "-", None),
        Figure(
            "gateway, WebSocket echo, p50", trip, trip_beside, "µs", chp, "< 1x", trip < trip_beside, echo,
            tuple(ours.echo_s),
        ),
        Figure("gateway, WebSocket echo, p50", trip, trip_bare, "µs", "a direct connection", "-", None),
    ]  # fmt: skip
