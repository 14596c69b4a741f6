"""What must be shown beside the counts: a silent peer is noticed, a herd comes back, a rolling restart fails nobody."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from facility_agent.link.keys import load_or_create_key, public_text
from tests.certificates import self_signed
from tests.chaos.herd import name_of
from tests.chaos.network_faults import Sides
from tests.chaos.nginx import running_nginx
from tests.chaos.people import LOST, Person
from tests.chaos.proxy import FaultProxy
from tests.chaos.site import BIN, Site, Timers
from tests.chaos.world import World, running_world
from tests.components import ROOT
from tests.services import running_postgres
from tests.waiting import free_port, until

HERD = 500
ROUNDS = 8
BARE_START = 0.5
WITHIN = 30.0


@dataclass(frozen=True)
class Shown:
    """One of the things to show."""

    name: str
    value: str
    goal: str
    met: bool


# --- a silent peer, at the timers of service


def silence(say: Callable[[str], None]) -> list[Shown]:
    """Frozen and blackholed peers, directly and behind nginx, all at once in one world; then the hub is frozen."""
    with ExitStack() as stack:
        world = stack.enter_context(running_world(6, timers=Timers(), rate=6.0, webs=1, hubs=1))
        port = world.hub_ports[world.hubs[0].name]
        behind = FaultProxy(port)
        stack.callback(behind.close)
        direct, before, after, streamed, frozen, frozen_behind = world.sites
        grpc = stack.enter_context(running_nginx(world.folder / "n1", "grpc", [port]))
        lossy = stack.enter_context(running_nginx(world.folder / "n2", "grpc", [behind.port]))
        stream = stack.enter_context(running_nginx(world.folder / "n3", "stream", [port]))
        for site, way in ((before, grpc), (frozen_behind, grpc), (after, lossy), (streamed, stream)):
            site.mark()
            site.proxy.targets[:] = [way.port]
            site.proxy.reset()
            site.connected(60)
        say("six facilities: two directly, three behind nginx's gRPC, one behind its stream")
        trials = {
            "network lost, directly": (direct, lambda: direct.proxy.hold(up=True, down=True)),
            "network lost before nginx": (before, lambda: before.proxy.hold(up=True, down=True)),
            "network lost behind nginx": (after, lambda: behind.hold(up=True, down=True)),
            "network lost before nginx's stream": (streamed, lambda: streamed.proxy.hold(up=True, down=True)),
            "agent frozen, directly": (frozen, lambda: frozen.send(signal.SIGSTOP)),
            "agent frozen behind nginx": (frozen_behind, lambda: frozen_behind.send(signal.SIGSTOP)),
        }
        found = _noticed(world, trials)
        for site in world.sites:
            site.send(signal.SIGCONT)
            site.mark()
            site.proxy.heal()
            site.proxy.reset()
        behind.heal()
        behind.reset()
        for site in world.sites:
            site.connected(90)
        say("all are back; now the hub is frozen")
        found += _frozen_hub(world)
        return found


def _noticed(world: World, trials: dict[str, tuple[Site, Callable[[], None]]]) -> list[Shown]:
    watched = {name: Sides(world, site) for name, (site, _) in trials.items()}
    for _, act in trials.values():
        act()
    found = []
    for name, sides in watched.items():
        both = (sides.hub,) if "frozen" in name else (sides.agent, sides.hub)
        with suppress(AssertionError):
            until(lambda both=both: all(side() for side in both), name, WITHIN * 2)  # type: ignore[misc]
        took = sides.last(*both)
        found.append(Shown(f"noticed: {name}", f"{took:.1f} s", f"<= {WITHIN:g} s", took <= WITHIN))
    return found


def _frozen_hub(world: World) -> list[Shown]:
    watched = {site.name: Sides(world, site) for site in world.sites}
    world.hubs[0].send(signal.SIGSTOP)
    try:
        times = []
        for sides in watched.values():
            with suppress(AssertionError):
                until(sides.agent, "the agent notices", WITHIN * 2)
            times.append(sides.last(sides.agent))
    finally:
        world.hubs[0].send(signal.SIGCONT)
    worst = max(times)
    return [Shown("noticed: hub frozen, by all six agents", f"{worst:.1f} s", f"<= {WITHIN:g} s", worst <= WITHIN)]


# --- a herd


class Herd:
    """A process of many, and what it has said."""

    def __init__(self, kind: str, port: int, folder: Path, count: int = HERD) -> None:
        self._count = count
        command = [sys.executable, "-m", "tests.chaos.herd", kind, str(port), str(folder), str(count)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}
        )
        self.up, self.times = 0, []  # type: ignore[var-annotated]
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            sign, at = line.decode().split()
            self.up += 1 if sign == "+" else -1
            if sign == "+":
                self.times.append(float(at))

    def all(self, within: float = 120) -> float:
        """When the last of all came up."""
        until(lambda: self.up == self._count, f"all {self._count} are up", within)
        return float(self.times[-1])

    def gone(self) -> None:
        """Wait until none is up."""
        until(lambda: self.up == 0, "all are down", 60)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def listening(port: int) -> bool:
    """Whether somebody accepts."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2):
        return True
    return False


def herd(say: Callable[[str], None]) -> list[Shown]:
    """A hub with so many agents is killed, and a bare server with so many streams; in turns."""
    ours, bare = [], []
    with hub_of_many() as (start_hub, hub_port, folder), ExitStack() as stack:
        port = free_port()
        command = [sys.executable, "-m", "tests.chaos.herd", "serve", str(port), str(folder)]
        start_bare = lambda: subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})  # noqa: E731
        pairs = (("agents", start_hub, hub_port, ours), ("bare", start_bare, port, bare))
        living = {}
        for kind, start, at, _ in pairs:
            crowd = Herd(kind, at, folder)
            stack.callback(crowd.close)
            living[kind] = [start(), crowd]
            stack.callback(lambda kind=kind: living[kind][0].kill())  # type: ignore[misc]
            crowd.all()
        for _ in range(ROUNDS):
            outage = 0.0
            for kind, start, at, took in pairs:
                server, crowd = living[kind]
                server.kill()
                server.wait()
                killed = time.monotonic()
                crowd.gone()
                until(lambda: time.monotonic() > killed + outage - BARE_START, "the same outage", 60)  # noqa: B023
                living[kind][0] = start()
                until(lambda at=at: listening(at), "somebody listens", 30)  # type: ignore[misc]
                begun = time.monotonic()
                outage = begun - killed
                took.append(crowd.all() - begun)
                say(f"{HERD} {kind}: {took[-1]:.2f} s after an outage of {outage:.1f} s")
    ratio = median(one / other for one, other in zip(ours, bare, strict=True))
    value = f"{median(ours):.1f} s, at most {max(ours):.1f} s; bare streams {median(bare):.1f} s; {ROUNDS} pairs: {ratio:.2f}"
    return [Shown(f"F25: hub killed with {HERD} agents: all back", value, "<= 1.5 x bare streams", ratio <= 1.5)]


@contextmanager
def hub_of_many() -> Iterator[tuple[Callable[[], subprocess.Popen[bytes]], int, Path]]:
    """How to start the hub of so many facilities, its port, and the folder of what its agents need."""
    folder = Path(tempfile.mkdtemp(prefix="phe-", dir="/tmp"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = stack.enter_context(running_postgres())
        port = free_port()
        certificate, key = self_signed(folder / "hub")
        public = public_text(load_or_create_key(folder / "herd.key"))
        tables = [
            f'[[facilities]]\nid = "{name_of(n)}"\nname = "H"\npublic_key = "{public}"\n'
            f'gateway = "http://{name_of(n)}.localhost:9"\nworkspace_zone = "{name_of(n)}.w.localhost:9"\n'
            for n in range(HERD)
        ]
        (folder / "federation.toml").write_text("".join(tables))
        environment = {
            "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PARASOL_DATA": str(folder / "centre"),
            "PARASOL_FEDERATION": str(folder / "federation.toml"), "PARASOL_HUB_LISTEN": f"127.0.0.1:{port}",
            "PARASOL_HUB_CERTIFICATE": str(certificate), "PARASOL_HUB_KEY": str(key), "PARASOL_HUB_MUTUAL_LISTEN": "",
            "PARASOL_DATABASE": postgres.database("herd"),
        }  # fmt: skip
        subprocess.run([BIN / "central-portal", "migrate"], env=environment, check=True)

        def start() -> subprocess.Popen[bytes]:
            with (folder / "hub.log").open("ab") as out:
                return subprocess.Popen([BIN / "central-portal", "hub"], env=environment, stdout=out, stderr=out)

        yield start, port, folder


# --- a rolling restart


class Queries:
    """Searches, about `rate` a second, and their outcomes."""

    def __init__(self, people: list[Person], rate: float) -> None:
        self._turn, self._rate, self._stop = itertools.cycle(people), rate, threading.Event()
        self.outcomes: Counter[str] = Counter()
        self.bad: list[tuple[float, str]] = []
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(16)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due += len(self._threads) / self._rate
            try:
                outcome = next(self._turn).found()
            except LOST as error:
                outcome = f"{type(error).__name__}: {error}"[:120]
            self.outcomes[outcome] += 1
            if outcome != "OK":
                self.bad.append((time.monotonic(), outcome))

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)


def rolling(say: Callable[[str], None]) -> list[Shown]:
    """Two hubs and two web processes, each replaced by a new one while 20 orders and 20 queries a second go on."""
    with ExitStack() as stack:
        world = stack.enter_context(running_world(4, timers=Timers(), rate=0.0))
        front = stack.enter_context(running_nginx(world.folder / "front", "web", world.webs()))
        world.front = front.port
        for load in world.loads.values():
            load.rate = 5.0
            load.start()
        people = [person for load in world.loads.values() for person in load.people]
        queries = Queries(people, 20.0)
        stack.callback(queries.stop)
        begun = time.monotonic()
        until(lambda: time.monotonic() > begun + 3, "the load is steady", 10)
        for old in [*world.living("hub"), *world.living("web")]:
            new = world.start(old.name.split("-")[0])
            front.aim([p.port for p in world.living("web") if p is not old])
            front.reload()
            if old.name.startswith("hub"):
                for site in world.sites:
                    site.proxy.targets[:] = [p for p in site.proxy.targets if p != world.hub_ports[old.name]]
            stopping = time.monotonic()
            old.stop()
            say(f"{old.name} stopped from {stopping:.2f} to {time.monotonic():.2f}")
            say(f"{old.name} replaced by {new.name}; failed queries so far: {queries.bad}")
        end = time.monotonic()
        until(lambda: time.monotonic() > end + 3, "the load goes on", 10)
        queries.stop()
        for load in world.loads.values():
            load.stop()
        took = time.monotonic() - begun
        asked = [a for load in world.loads.values() for a in load.between(begun, time.monotonic())]
        verdict = world.verdict(world.sites, begun, time.monotonic())
        errors = [e for load in world.loads.values() for e in load.errors]
        refused = Counter(a.refused for a in asked if a.refused)
        failed = len(errors) + sum(refused.values()) + (0 if verdict.good else len(verdict.told))
        bad = {outcome: n for outcome, n in queries.outcomes.items() if outcome != "OK"}
        say(f"orders: {errors[:3]} {dict(refused)} {verdict.told[:3]}; queries: {dict(queries.outcomes)}")
        asked_for = sum(queries.outcomes.values())
        return [
            Shown("rolling restart: orders failed", f"{failed} of {verdict.orders} ({verdict.orders / took:.0f}/s)", "0", failed == 0),
            Shown("rolling restart: queries failed", f"{sum(bad.values())} of {asked_for} ({asked_for / took:.0f}/s)", "0", not bad),
        ]  # fmt: skip


ALL = {"silence": silence, "herd": herd, "rolling": rolling}
