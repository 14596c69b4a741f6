"""The centre as several processes: what one does, the others know; what dies, the others survive."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGCONT, SIGSTOP, SIGTERM
from typing import Any

import orjson
import pytest
from websockets.exceptions import ConnectionClosed

from tests.balancer import Balancer
from tests.integration.openid import Op, serving
from tests.integration.replicas import FRONT, Part, Replicas, online, running_replicas
from tests.integration.tab import Tab, granted, open_socket
from tests.services import Postgres, RedisServer, running_postgres, running_redis
from tests.waiting import until

pytestmark = pytest.mark.needs("postgresql")


@pytest.fixture(scope="module")
def provider() -> Iterator[Op]:
    with serving(Op()) as op:
        yield op


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@contextmanager
def world(tmp_path: Path, op: Op, postgres: Postgres, redis: str = "") -> Iterator[Replicas]:
    op.calm()
    op.person = (f"ada-{tmp_path.name[-8:]}", f"sid-{tmp_path.name}")
    with running_replicas(tmp_path, op, postgres.database(f"w{time.monotonic_ns()}"), redis) as replicas:
        yield replicas


def closed_with(stream: Any, within: float) -> int | None:
    """The code with which a socket is closed."""
    try:
        while True:
            stream.recv(within)
    except ConnectionClosed as closed:
        return closed.rcvd and closed.rcvd.code


class Asking:
    """Searches ten times a second in a thread, through each web process in turn, and keeps what was not found."""

    def __init__(self, *tabs: Tab) -> None:
        self._tabs, self._stop = tabs, threading.Event()
        self.asked, self.good, self.slowest = 0, 0, 0.0
        self.failed: list[str] = []
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            tab, started = self._tabs[self.asked % len(self._tabs)], time.monotonic()
            self.asked += 1
            try:
                found = tab.found()
            except (AssertionError, OSError, KeyError, TypeError) as error:
                found, why = set(), f"{type(error).__name__}: {str(error)[:200]}"
            else:
                why = f"found {found}"
            self.slowest = max(self.slowest, time.monotonic() - started)
            self.good = self.good + 1 if found == {"o-1", "p-1"} else 0
            if not self.good:
                self.failed.append(why)

    def until_good(self, times: int, within: float = 15.0) -> None:
        """Waits for so many good answers, one after the other, from now."""
        self.good = 0
        until(lambda: self.good >= times, f"{times} good answers ({self.failed[-1:]})", within)

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@pytest.mark.needs("redis")
def test_two_webs_ask_through_the_hub_and_see_the_facility_come_and_go(
    tmp_path: Path, provider: Op, postgres: Postgres, redis: RedisServer
) -> None:
    with world(tmp_path, provider, postgres, redis.url) as replicas:
        hub = replicas.start("hub")
        webs = [replicas.start("web") for _ in range(2)]
        tabs = [replicas.tab(webs[0])]
        tabs.append(replicas.tab(webs[1], tabs[0]))
        assert not any(map(online, tabs))
        replicas.facility.connect()
        for tab in tabs:
            until(lambda tab=tab: online(tab), "the facility is seen", 10.0)
            assert tab.asked()
            until(tab.mirrored, "the portal has read what is open", 5.0)
            assert tab.found() == {"o-1"}
        granted(provider, tabs[0], replicas.facility)
        assert tabs[1].found() == {"o-1", "p-1"}, "signed in at one, known at the other"
        agent = replicas.agent()
        assert (agent["state"], agent["hub"], agent["epoch"]) == ("online", f"127.0.0.1:{hub.port}", 1)
        assert "alpha" in replicas.run("agents").stdout
        replicas.facility.disconnect()
        for tab in tabs:
            until(lambda tab=tab: not online(tab), "the facility is seen to go", 3.0)
        hub.stop()
        for web in webs:
            web.stop()


@pytest.mark.needs("redis")
def test_a_sign_out_at_one_web_closes_a_socket_at_another(
    tmp_path: Path, provider: Op, postgres: Postgres, redis: RedisServer
) -> None:
    with world(tmp_path, provider, postgres, redis.url) as replicas:
        here = replicas.tab(replicas.start("web"))
        there = replicas.tab(replicas.start("web"), here)
        for trouble in (lambda: None, redis.freeze, redis.kill):
            here.sign_in(provider)
            assert there.me()
            with open_socket(there) as stream:
                stream.send('{"type": "connection_init"}')
                assert orjson.loads(stream.recv(10))["type"] == "connection_ack"
                trouble()
                started = time.monotonic()
                assert here.post("/signout").status == 303
                assert closed_with(stream, 10) == 4401
                assert time.monotonic() - started < 4.0
            assert here.me() is None
            provider.person = (provider.person[0], f"{provider.person[1]}-next")


@pytest.mark.needs("redis")
def test_all_goes_on_without_redis_and_with_it_again(
    tmp_path: Path, provider: Op, postgres: Postgres, redis: RedisServer
) -> None:
    with world(tmp_path, provider, postgres, redis.url) as replicas:
        replicas.start("hub")
        web = replicas.start("web")
        tab = replicas.tab(web)
        replicas.facility.connect()
        until(lambda: online(tab), "the facility is seen", 10.0)
        granted(provider, tab, replicas.facility)
        with Asking(tab) as asking:
            redis.kill()
            replicas.facility.disconnect()
            until(lambda: not online(tab), "the facility is seen to go", 3.0)
            replicas.facility.connect()
            until(lambda: online(tab), "the facility is seen to come", 3.0)
            asking.until_good(5)
            asking.failed.clear()  # while it was away
            redis.start()
            asking.until_good(10)
        assert asking.failed == []


def test_every_process_survives_a_restart_of_postgresql(tmp_path: Path, provider: Op) -> None:
    with running_postgres() as own, world(tmp_path, provider, own) as replicas:
        hub = replicas.start("hub", PARASOL_HUB_LEASE="3")
        web = replicas.start("web")
        tab = replicas.tab(web)
        replicas.facility.connect()
        until(lambda: online(tab), "the facility is seen", 10.0)
        granted(provider, tab, replicas.facility)
        for mode in ("fast", "immediate"):
            own.stop(mode)
            own.start()
            with Asking(tab) as asking:
                asking.until_good(3)
                asking.failed.clear()  # until it was back
                asking.until_good(20)
            assert asking.failed == [], mode
        agent = replicas.agent()
        assert (agent["state"], agent["epoch"]) == ("online", 1), "the session outlived it"
        web.stop()
        hub.stop()


@pytest.mark.needs("redis")
def test_every_process_is_replaced_in_turn_and_no_query_fails(
    tmp_path: Path, provider: Op, postgres: Postgres, redis: RedisServer
) -> None:
    with world(tmp_path, provider, postgres, redis.url) as replicas, front() as browsers:
        hubs = [replicas.start("hub"), replicas.start("hub")]
        webs = [replicas.start("web"), replicas.start("web")]
        browsers.targets = [web.port for web in webs]
        tab = Tab(FRONT, at=browsers.port)
        replicas.facility.connect()
        until(lambda: online(tab), "the facility is seen", 10.0)
        granted(provider, tab, replicas.facility)
        with Asking(tab) as asking:
            asking.until_good(5)
            for old in hubs:
                replicas.start("hub")
                replicas.balancer.targets.remove(old.port)
                old.stop()
                asking.until_good(5)
            for old in webs:
                browsers.targets = [*browsers.targets[1:], replicas.start("web").port]
                old.stop()
                asking.until_good(5)
        assert asking.failed == [], f"of {asking.asked}, the slowest took {asking.slowest:.1f} s"
        agent = replicas.agent()
        assert agent["state"] == "online"
        assert agent["hub"] in {f"127.0.0.1:{part.port}" for part in replicas.parts[4:]}


@contextmanager
def front() -> Iterator[Balancer]:
    """What stands in front of the web processes."""
    balancer = Balancer()
    yield balancer
    balancer.close()


def test_a_hub_that_is_killed_is_left(tmp_path: Path, provider: Op, postgres: Postgres) -> None:
    with world(tmp_path, provider, postgres) as replicas:
        old = replicas.start("hub")
        web = replicas.start("web")
        tab = replicas.tab(web)
        replicas.facility.connect()
        until(lambda: online(tab), "the facility is seen", 10.0)
        granted(provider, tab, replicas.facility)
        new = replicas.start("hub")
        old.kill()
        assert tab.found() == {"o-1", "p-1"}, "asked again until the facility is back elsewhere"
        agent = replicas.agent()
        assert (agent["hub"], agent["epoch"]) == (f"127.0.0.1:{new.port}", 2)


def test_a_frozen_hub_loses_its_lease_and_is_fenced_when_it_wakes(
    tmp_path: Path, provider: Op, postgres: Postgres
) -> None:
    lease = {"PARASOL_HUB_LEASE": "1.5"}
    with world(tmp_path, provider, postgres) as replicas:
        zombie = replicas.start("hub", **lease)
        web = replicas.start("web")
        tab = replicas.tab(web)
        replicas.facility.connect()
        until(lambda: online(tab), "the facility is seen", 10.0)
        granted(provider, tab, replicas.facility)
        zombie.send(SIGSTOP)
        until(lambda: not online(tab), "the lease has run out", 5.0)
        replicas.balancer.targets.clear()
        new = replicas.start("hub", **lease)
        replicas.balancer.cut()
        until(lambda: online(tab), "the facility is back", 30.0)
        moved = replicas.agent()
        assert (moved["hub"], moved["epoch"]) == (f"127.0.0.1:{new.port}", 2)
        zombie.send(SIGCONT)
        until(lambda: "ended (" in zombie.log.read_text(), "the zombie's session is over", 10.0)
        with Asking(tab) as asking:
            asking.until_good(20)
        assert asking.failed == []
        assert replicas.agent() | {"since": None} == moved | {"since": None}, "the zombie wrote nothing"
        zombie.stop()
        assert replicas.agent()["state"] == "online"


def test_an_outdated_database_and_a_missing_one_are_told(tmp_path: Path, provider: Op, postgres: Postgres) -> None:
    with world(tmp_path, provider, postgres) as replicas:
        empty = replicas.environment | {"PARASOL_DATABASE": postgres.database(f"e{time.monotonic_ns()}")}
        replicas.environment = empty
        for kind in ("web", "hub"):
            done = replicas.run(kind)
            assert (done.returncode, done.stderr.strip()) == (
                2, "The database is older than this program: run central-portal migrate.",
            )  # fmt: skip
        replicas.environment = empty | {"PARASOL_DATABASE": ""}
        done = replicas.run("web")
        assert done.returncode == 2
        assert "needs PostgreSQL" in done.stderr
        replicas.environment = empty | {"PARASOL_DATABASE": "postgresql://app@/nowhere?host=/nonexistent"}
        for command in ("web", "agents"):
            done = replicas.run(command)
            assert done.returncode == 2
            assert "The database cannot be used" in done.stderr
            assert len(done.stderr.splitlines()) == 1


def test_metrics_and_health_are_for_this_machine(tmp_path: Path, provider: Op, postgres: Postgres) -> None:
    with world(tmp_path, provider, postgres) as replicas:
        hub, web = replicas.start("hub"), replicas.start("web")
        tab = replicas.tab(web)
        replicas.facility.connect()
        until(lambda: online(tab), "the facility is seen", 10.0)
        assert tab.asked()
        at_hub, at_web = metrics(hub), metrics(web)
        assert at_hub["parasol_sessions"] == 1
        assert at_hub['parasol_session_epoch{facility="alpha"}'] == 1
        assert at_web['parasol_ask_seconds_count{outcome="OK",verb="catalogue.files"}'] == 1
        assert at_web['parasol_graphql_requests_total{outcome="OK"}'] > 0
        assert b"parasol_" not in tab.get("/metrics").body, "the portal's origin tells nothing"
        done = replicas.run("web", PARASOL_METRICS="0.0.0.0:9")
        assert (done.returncode, "must be on loopback" in done.stderr) == (2, True)
        hub.send(SIGTERM)
        until(lambda: not hub.healthy(), "a hub that stops says so")


def metrics(part: Part) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{part.ops}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return {
        name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    }


def test_a_quarantine_is_shown_cut_and_released(tmp_path: Path, provider: Op, postgres: Postgres) -> None:
    with world(tmp_path, provider, postgres) as replicas:
        hub, web = replicas.start("hub"), replicas.start("web")
        other = replicas.start("hub")
        tab = replicas.tab(web)
        replicas.facility.connect()
        until(lambda: online(tab), "the facility is seen", 10.0)
        clone = replicas.facility.clone(f"127.0.0.1:{other.port}")
        clone.dial()
        until(lambda: not online(tab), "nobody is let in any more", 5.0)
        until(
            lambda: "ended (SUPERSEDED)" in hub.log.read_text(), "the first session is cut at the other hub", 5.0
        )
        agent = replicas.agent()
        assert agent["state"] == "quarantined"
        assert agent["quarantined"]
        shown = replicas.run("agents")
        assert (shown.returncode, "alpha is quarantined" in shown.stdout) == (1, True)
        assert "is quarantined" in other.log.read_text()
        clone.hang_up()
        assert not online(tab)
        assert replicas.run("agents", "release", "alpha").returncode == 0
        until(lambda: online(tab), "the first agent is back", 30.0)
        assert replicas.run("agents", "release", "alpha").returncode == 1
        assert replicas.run("agents", "release", "nobody").returncode == 1
