"""The centre as several processes: what one does, the others know; what dies, the others survive."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any

import orjson
import pytest
from websockets.exceptions import ConnectionClosed

from tests.integration.openid import Op, serving
from tests.integration.replicas import Replicas, online, running_replicas
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
            until(lambda tab=tab: online(tab), "the facility is seen", 2.0)
            assert tab.found() == {"o-1"}
        granted(provider, tabs[0], replicas.facility)
        assert tabs[1].found() == {"o-1", "p-1"}, "signed in at one, known at the other"
        agent = replicas.agent()
        assert (agent["state"], agent["hub"], agent["epoch"]) == ("online", f"127.0.0.1:{hub.port}", 1)
        assert "alpha" in replicas.run("agents").stdout
        replicas.facility.disconnect()
        for tab in tabs:
            until(lambda tab=tab: not online(tab), "the facility is seen to go", 2.0)
        hub.stop()
        for web in webs:
            web.stop()


@pytest.mark.needs("redis")
@pytest.mark.parametrize("way", ["redis", "no redis", "redis killed", "redis frozen"])
def test_a_sign_out_at_one_web_closes_a_socket_at_another(
    tmp_path: Path, provider: Op, postgres: Postgres, redis: RedisServer, way: str
) -> None:
    with world(tmp_path, provider, postgres, "" if way == "no redis" else redis.url) as replicas:
        one, other = replicas.start("web"), replicas.start("web")
        here = replicas.tab(one)
        here.sign_in(provider)
        there = replicas.tab(other, here)
        assert there.me()
        with open_socket(there) as stream:
            stream.send('{"type": "connection_init"}')
            assert orjson.loads(stream.recv(10))["type"] == "connection_ack"
            if way == "redis killed":
                redis.kill()
            elif way == "redis frozen":
                redis.freeze()
            started = time.monotonic()
            assert here.post("/signout").status == 303
            assert closed_with(stream, 10) == 4401
            assert time.monotonic() - started < 3.5
        if way == "redis frozen":
            redis.thaw()
        assert here.me() is None


@pytest.mark.needs("redis")
def test_all_goes_on_without_redis_and_with_it_again(
    tmp_path: Path, provider: Op, postgres: Postgres, redis: RedisServer
) -> None:
    with world(tmp_path, provider, postgres, redis.url) as replicas:
        replicas.start("hub")
        web = replicas.start("web")
        tab = replicas.tab(web)
        replicas.facility.connect()
        until(lambda: online(tab), "the facility is seen", 2.0)
        granted(provider, tab, replicas.facility)
        with Asking(tab) as asking:
            redis.kill()
            replicas.facility.disconnect()
            until(lambda: not online(tab), "the facility is seen to go", 2.5)
            replicas.facility.connect()
            until(lambda: online(tab), "the facility is seen to come", 2.5)
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
        until(lambda: online(tab), "the facility is seen", 2.0)
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


def test_a_facility_moves_to_another_hub_under_queries(tmp_path: Path, provider: Op, postgres: Postgres) -> None:
    with world(tmp_path, provider, postgres) as replicas:
        old = replicas.start("hub")
        web = replicas.start("web")
        tab = replicas.tab(web)
        replicas.facility.connect()
        until(lambda: online(tab), "the facility is seen", 2.0)
        granted(provider, tab, replicas.facility)
        new = replicas.start("hub")
        with Asking(tab) as asking:
            asking.until_good(5)
            old.stop()
            until(lambda: replicas.agent()["hub"] == f"127.0.0.1:{new.port}", "the facility has moved")
            asking.until_good(10)
        assert asking.failed == []


def test_a_hub_that_is_killed_is_left(tmp_path: Path, provider: Op, postgres: Postgres) -> None:
    with world(tmp_path, provider, postgres) as replicas:
        old = replicas.start("hub")
        web = replicas.start("web")
        tab = replicas.tab(web)
        replicas.facility.connect()
        until(lambda: online(tab), "the facility is seen", 2.0)
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
        until(lambda: online(tab), "the facility is seen", 2.0)
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
        done = replicas.run("web")
        assert done.returncode == 2
        assert "The database cannot be used" in done.stderr
        assert "Traceback" not in done.stderr
