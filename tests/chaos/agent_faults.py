"""What happens to an agent's process, its clock and its store."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from dataclasses import replace

import psutil

from tests.chaos.faults import RANDOM, fault
from tests.chaos.proxy import FaultProxy
from tests.chaos.site import CONNECTED, Site
from tests.chaos.world import World, faked
from tests.waiting import alive, until

MOMENTS = {
    "F01": "before-store", "F02": "after-store", "F03": "before-effect", "F04": "during-effect", "F05": "after-effect",
    "F06": "before-result", "F07": "before-acknowledged",
}  # fmt: skip
AGE = 8 * 86_400


def _killed_at(id_: str, moment: str) -> None:
    @fault(id_, f"agent killed {moment}")
    def act(_world: World, site: Site) -> None:
        site.stop()
        site.start(wait=False, PARASOL_CRASH_AT=f"{moment}:{RANDOM.randint(1, 3)}")
        site.died()
        site.start()


for _id, _moment in MOMENTS.items():
    _killed_at(_id, _moment)


@fault("F08", "agent killed during gc")
def during_gc(_world: World, site: Site) -> None:
    """There is something to forget: what was acknowledged is made old enough."""
    site.stop()
    with closing(sqlite3.connect(site.state / "agent.sqlite3")) as db, db:
        db.execute(
            "update order_ set acknowledged_at = acknowledged_at - ? where acknowledged_at is not null", (AGE,)
        )
    site.start(wait=False, PARASOL_CRASH_AT="during-gc")
    site.died()
    site.start()


@fault("F18", "a copy of the agent's state runs beside it")
def cloned(world: World, site: Site) -> float:
    """Both are shut out until the operator says which one is believed."""
    folder = world.folder / f"c{RANDOM.randrange(10**6)}"
    shutil.copytree(site.folder, folder, ignore=lambda *_: ["run"])
    begun = time.monotonic()
    clone = replace(
        site, folder=folder, proxy=FaultProxy(*site.proxy.targets), hub=site.hub, process=None, listener=None
    )
    clone.write(site.people)
    (folder / "ledger").unlink(missing_ok=True)
    (folder / "ledger").symlink_to(site.ledger)
    clone.start(wait=False)
    try:
        until(lambda: _state(world, site) == "quarantined", "the clone is noticed", 60)
        noticed = time.monotonic() - begun
    finally:
        clone.close()
    site.kill()
    assert world.run("agents", "release", site.name).returncode == 0
    site.start()
    return noticed


def _state(world: World, site: Site) -> object:
    return next(a["state"] for a in world.agents() if a["facility"] == site.name)


def _jumps(shift: str) -> None:
    @fault("F19", f"agent's clock jumps by {shift}", needs=("libfaketime",))
    def act(world: World, site: Site) -> None:
        """While it is connected and again when it starts; nothing is accepted that should not be, nothing is lost."""
        site.stop()
        clock = site.folder / "clock"
        clock.write_text("+0")
        site.start(**faked(clock))
        clock.write_text(shift)
        orders_go_by(world, site, 6)
        site.stop()
        site.start()


def orders_go_by(world: World, site: Site, count: int) -> None:
    """Wait until so many more were asked for."""
    load, begun = world.loads[site.name], time.monotonic()
    until(lambda: len(load.between(begun, time.monotonic())) >= count, "orders are given", 60)


for _shift in ("+1h", "-1h", "+1d", "-1d"):
    _jumps(_shift)


@fault("F21", "agent's disk is full")
def disk_full(world: World, site: Site) -> None:
    """Nothing of the agent's may lie behind some place in a file: RLIMIT_FSIZE needs no privilege.

    It says so, refuses what it can neither store nor record, and goes on by itself when there is room again.
    """
    assert site.process is not None
    process = psutil.Process(site.process.pid)
    before = process.rlimit(psutil.RLIMIT_FSIZE)
    process.rlimit(psutil.RLIMIT_FSIZE, (RANDOM.randint(1, 65_536), before[1]))
    try:
        what = _hears(site, r"(The store|The egress log) cannot be (used|written)")
        orders_go_by(world, site, 5)
    finally:
        if alive(site.process):
            process.rlimit(psutil.RLIMIT_FSIZE, before)
    _hears(site, f"{what[1]} can be {what[2]} again")


def _hears(site: Site, words: str) -> re.Match[str]:
    process = site.process
    assert process is not None
    until(lambda: re.search(words, site.news()) or not alive(process), f"{site.name} says: {words}", 60)
    assert alive(process), f"it ended with {process.returncode}: {site.text()[-4000:]}"
    said = re.search(words, site.news())
    assert said is not None
    return said


@fault("F21", "agent's store is damaged, and mended from a copy")
def damaged(_world: World, site: Site) -> None:
    """It starts nothing on it, and says so."""
    site.stop()
    store = site.state / "agent.sqlite3"
    whole = store.read_bytes()
    store.write_bytes(whole[:100] + b"\xff" * 4000 + whole[4100:])
    site.start(wait=False)
    until(lambda: "store" in site.news().lower() or not alive(site.process), "it says so", 20)  # type: ignore[arg-type]
    assert not CONNECTED.search(site.news()), "nothing is begun on a damaged store"
    site.kill()
    for leftover in site.state.glob("agent.sqlite3-*"):
        leftover.unlink()
    store.write_bytes(whole)
    site.start()


@fault("F21", "agent's store is restored from a backup")
def restored(world: World, site: Site) -> None:
    """It gets another name; what it does not know any more is told as such, and nothing begins twice."""
    store, copy = site.state / "agent.sqlite3", site.folder / "backup"
    with closing(sqlite3.connect(store)) as live, closing(sqlite3.connect(copy)) as saved:
        live.backup(saved)
    orders_go_by(world, site, 5)
    site.stop()
    for leftover in site.state.glob("agent.sqlite3*"):
        leftover.unlink()
    copy.rename(store)
    site.operate("restored")
    site.start()


@fault("F27", "agent stalls for less than it may")
def agent_stalls(_world: World, site: Site) -> None:
    """A long collection of garbage is no death."""
    _stall(site, site.timers.dead_after * 0.2)


def _stall(site: Site, seconds: float) -> None:
    assert site.process is not None
    epochs = site.epochs()
    site.send(signal.SIGSTOP)
    try:
        pause(seconds)
    finally:
        site.send(signal.SIGCONT)
    pause(site.timers.heartbeat * 2)
    assert site.epochs() == epochs, "the session outlives it"


def pause(seconds: float) -> None:
    """A fault that lasts: nothing can be waited for but the time itself."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() >= end, "time passes", seconds + 5)
