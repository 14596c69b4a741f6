"""Everything of a trial: PostgreSQL, Redis, the centre's processes, facilities, people; all real, all on loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg

from facility_agent.link.keys import load_or_create_key, public_text
from tests.chaos.judge import Verdict, judge, words_of
from tests.chaos.people import FRONT, LOST, Asked, Load, Person
from tests.chaos.proxy import FaultProxy
from tests.chaos.site import BIN, TENTH, Site, Timers
from tests.components import path_of
from tests.integration.openid import Op, serving
from tests.integration.replicas import Part
from tests.integration.whole_centre import kept_variables
from tests.services import Postgres, RedisServer, running_postgres, running_redis
from tests.waiting import alive, free_port, until

PEOPLE = 3
POISON = "poison"


@dataclass
class World:
    """What runs. `embedded` is one `central-portal serve` on SQLite; otherwise several webs and hubs."""

    folder: Path
    op: Op
    timers: Timers
    environment: dict[str, str]
    sites: list[Site] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    loads: dict[str, Load] = field(default_factory=dict)
    postgres: Postgres | None = None
    redis: RedisServer | None = None
    redis_way: FaultProxy | None = None
    hub_ports: dict[str, int] = field(default_factory=dict)
    front: int = 0

    # --- the centre

    def start(self, kind: str, **changes: str) -> Part:
        """Start one more `web`, `hub` or `serve`, wait until it serves, and show it to the facilities."""
        ports = {"PARASOL_LISTEN": free_port(), "PARASOL_HUB_LISTEN": free_port(), "PARASOL_METRICS": free_port()}
        ports |= {
            name: int(self.environment[name].rpartition(":")[2]) for name in ports if name in self.environment
        }
        where = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        log = self.folder / f"{kind}-{len(self.parts)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [BIN / "central-portal", kind], env=self.environment | where | changes, stdout=out, stderr=out
            )
        port = ports["PARASOL_HUB_LISTEN" if kind == "hub" else "PARASOL_LISTEN"]
        part = Part(f"{kind}-{len(self.parts)}", port, ports["PARASOL_METRICS"], process, log)
        self.hub_ports[part.name] = ports["PARASOL_HUB_LISTEN"]
        self.parts.append(part)
        until(lambda: part.healthy() or not alive(process), f"{part.name} serves")
        # Orders reach it as soon as it listens, so its crash point may come before this look at its health.
        crashed = "PARASOL_CRASH_AT" in changes and process.poll() == -signal.SIGKILL
        assert crashed or alive(process), log.read_text()
        self.aim()
        return part

    def living(self, kind: str) -> list[Part]:
        return [part for part in self.parts if part.name.startswith(kind) and alive(part.process)]

    @property
    def hubs(self) -> list[Part]:
        return self.living("hub") + self.living("serve")

    def webs(self) -> list[int]:
        """Ports of the living web processes, or of what stands in front of them."""
        if self.front:
            return [self.front]
        return [part.port for part in self.living("web") + self.living("serve")]

    def aim(self) -> None:
        """Facilities dial the living hubs, each another one first."""
        ports = [self.hub_ports[hub.name] for hub in self.hubs]
        for n, site in enumerate(self.sites):
            turn = n % max(1, len(ports))
            site.proxy.targets[:] = ports[turn:] + ports[:turn]

    def hub_of(self, site: Site) -> Part:
        """The hub that holds the facility's session, by the centre's own rows."""
        if self.postgres is None:
            return self.hubs[0]
        (address,) = [address for name, address in self.held() if name == site.name]
        return next(p for p in self.parts if f"127.0.0.1:{self.hub_ports[p.name]}" == address)

    def held(self) -> list[tuple[str, str]]:
        """(facility, hub) of every session."""
        with psycopg.connect(self.environment["PARASOL_DATABASE"]) as db:
            return list(
                db.execute("select slug, hub_address from facilities_facilitysession where hub_address <> ''")
            )

    def agents(self) -> list[dict[str, object]]:
        done = self.run("agents", "--json")
        return list(json.loads(done.stdout))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / "central-portal", *arguments], env=self.environment, capture_output=True, text=True, timeout=60
        )

    # --- what the persons see, and the verdict

    def seen_online(self, site: Site, port: int = 0) -> bool:
        """Whether a web process shows the facility as connected."""
        from tests.integration.tab import Tab

        tab = Tab(FRONT, {}, port or self.webs()[0])
        nodes = tab.graphql("{facilities{nodes{slug state}}}")["facilities"]["nodes"]
        return any(node["slug"] == site.name and node["state"] == "ONLINE" for node in nodes)

    def settled(self, asked: Sequence[Asked], within: float) -> dict[str, dict[str, object] | None]:
        """How each workspace is shown once nothing is under way any more, or after `within` seconds."""
        end, shown = time.monotonic() + within, dict.fromkeys((one.id for one in asked), None)
        while True:
            for one in asked:
                if not _done(one, shown[one.id]):
                    shown[one.id] = self._look(one)
            if all(_done(one, shown[one.id]) for one in asked) or time.monotonic() > end:
                return shown

    def _look(self, one: Asked) -> dict[str, object] | None:
        def look() -> list[dict[str, object] | None]:
            try:
                return [one.person.look(one.id)]
            except LOST:
                return []

        return until(look, "the portal answers", 60)[0]

    def verdict(self, sites: Sequence[Site], start: float, end: float, within: float = 15.0) -> Verdict:
        """On everything that was asked of these facilities in the meantime."""
        asked = [a for site in sites for a in self.loads[site.name].between(start, end)]
        until(lambda: all(a.told or a.refused or a.took for a in asked), "every person was answered", 60)
        asked = [replace(a) for a in asked]  # as they stand: what people do from now on belongs to later trials
        shown = self.settled(asked, within)
        lines = [line for site in sites for line in site.effects()]
        return judge(asked, shown, lines, {site.name: site.epochs() for site in sites})

    def close(self) -> None:
        """The end of everything that was started."""
        for load in self.loads.values():
            load.stop()
        for site in self.sites:
            site.close()
        for part in self.parts:
            if alive(part.process):
                part.kill()


def _done(one: Asked, view: dict[str, object] | None) -> bool:
    if view is None:
        return bool(one.refused)
    if one.stop_told in ("STOPPING", "ENDED"):
        return view["state"] in ("ENDED", "FAILED")
    return words_of(view) != ""


def _environment(folder: Path, op: Op, timers: Timers) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"], "PARASOL_ORIGIN": f"http://portal.localhost:{FRONT}", "PARASOL_HUB_PLAINTEXT": "1",
        "PARASOL_DATA": str(folder / "centre"), "PARASOL_FEDERATION": str(folder / "federation.toml"),
        "PARASOL_HUB_LEASE": str(timers.lease), "PARASOL_HUB_HEARTBEAT": str(timers.heartbeat),
        "PARASOL_HUB_DEAD_AFTER": str(timers.dead_after), "PARASOL_QUERY_DEADLINE": "3", **kept_variables(),
    }  # fmt: skip


def _federation(world: World) -> None:
    (world.folder / "op.secret").write_text(world.op.client_secret)
    (world.folder / "federation.toml").write_text(
        f'[[providers]]\nid = "op"\ntitle = "OP"\nissuer = "{world.op.issuer}"\nclient_id = "{world.op.client_id}"\n'
        f'client_secret_file = "op.secret"\n' + "".join(site.table for site in world.sites) + _poison(world.folder)
    )


def _poison(folder: Path) -> str:
    """A facility for what agents must not do."""
    key = public_text(load_or_create_key(folder / "poison.key"))
    return (
        f'[[facilities]]\nid = "{POISON}"\nname = "Poison"\npublic_key = "{key}"\ngateway = "http://poison.localhost:9"\n'
        'workspace_zone = "poison.w.localhost:9"\n'
    )


@contextmanager
def running_world(
    facilities: int = 4,
    *,
    embedded: bool = False,
    enrolled: bool = False,
    timers: Timers = TENTH,
    rate: float = 10.0,
    webs: int = 2,
    hubs: int = 2,
) -> Iterator[World]:
    """A world in which everything works and the load goes on; gone at the end.

    When `enrolled`, its agents have certificates, and every process but PostgreSQL takes the time from a file.
    """
    folder = Path(tempfile.mkdtemp(prefix="pch-", dir="/tmp"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        op = stack.enter_context(serving(Op()))
        world = World(folder, op, timers, _environment(folder, op, timers))
        if not embedded:
            _services(world, stack)
        stack.callback(world.close)
        if enrolled:
            world.environment = _with_certificates(world.environment, folder)
        for n in range(facilities):
            name = f"f{n}"
            site = Site(name, folder / name, op, timers, enrolled=enrolled)
            site.extra = faked(folder / "clock") if enrolled else {}
            world.sites.append(site)
            site.write(tuple(f"{name}p{p}" for p in range(PEOPLE)))
        _federation(world)
        if embedded:
            world.start("serve")
        else:
            done = world.run("migrate")
            assert done.returncode == 0, done.stderr
            for kind in ["hub"] * hubs + ["web"] * webs:
                world.start(kind)
        for site in world.sites:
            if enrolled:
                site.enrol(world.run("agent", "token", site.name).stdout.strip())
            site.start(wait=False)
        for site in world.sites:
            site.connected()
        populate(world, rate)
        yield world


def running_certificates() -> AbstractContextManager[World]:
    """Two enrolled facilities; a false clock costs half a processor, so nothing is hurried."""
    return running_world(2, embedded=True, enrolled=True, timers=Timers().times(0.5), rate=3.0)


def _with_certificates(environment: dict[str, str], folder: Path) -> dict[str, str]:
    (folder / "clock").write_text("+0")
    ports = {name: f"127.0.0.1:{free_port()}" for name in ("PARASOL_HUB_LISTEN", "PARASOL_HUB_MUTUAL_LISTEN")}
    plain = {name: value for name, value in environment.items() if name != "PARASOL_HUB_PLAINTEXT"}
    more = {"PARASOL_SESSION_HOURS": "168", "PARASOL_CERTIFICATE_HOURS": "24"}
    return plain | ports | more | {"PARASOL_HUB_ADDRESS": ports["PARASOL_HUB_LISTEN"]} | faked(folder / "clock")


def faked(clock: Path) -> dict[str, str]:
    """Variables of a process whose time of day is shifted by what stands in a file, such as +1h."""
    return {
        "LD_PRELOAD": path_of("libfaketime"), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip


def _services(world: World, stack: ExitStack) -> None:
    world.postgres = stack.enter_context(running_postgres(fsync=False))
    world.redis = stack.enter_context(running_redis())
    world.redis_way = FaultProxy(world.redis.port)
    stack.callback(world.redis_way.close)
    world.environment |= {
        "PARASOL_DATABASE": world.postgres.database("centre"),
        "PARASOL_REDIS": f"redis://127.0.0.1:{world.redis_way.port}/0",
    }


def populate(world: World, rate: float) -> None:
    """People come to every facility, and begin."""
    for site in world.sites:
        people = [Person(name, world.op, site, world.webs) for name in site.people]
        for person in people:
            person.come()
        world.loads[site.name] = Load(people, rate / len(world.sites))
    for load in world.loads.values():
        if rate:
            load.start()
