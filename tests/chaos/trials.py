"""Runs faults many times in one world, each trial with its verdict, and counts."""

from __future__ import annotations

import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tests.chaos.faults import Fault
from tests.chaos.judge import Verdict
from tests.chaos.site import Site
from tests.chaos.world import World
from tests.waiting import until

LEAST_ORDERS = 5


@dataclass
class Trial:
    """One time that something was broken."""

    fault: Fault
    verdict: Verdict = field(default_factory=Verdict)
    noticed: float | None = None
    took: float = 0.0
    failed: str = ""
    phases: list[float] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.failed and self.verdict.good


def one(world: World, fault: Fault, site: Site) -> Trial:
    """Break, mend, judge."""
    trial, begun = Trial(fault), time.monotonic()
    site.mark()
    sites = [site] if fault.where == "site" else world.sites
    try:
        trial.noticed = fault.act(world, site)
        trial.phases.append(time.monotonic() - begun)
        for each in sites:
            each.back()
        until(lambda: _orders(world, sites, begun) >= LEAST_ORDERS, "people go on", 60)
        trial.phases.append(time.monotonic() - begun)
        within = 60.0 if fault.where == "certificates" else 30.0
        trial.verdict = world.verdict(sites, begun - 1.0, time.monotonic(), within)
    except Exception:  # noqa: BLE001 (a trial that fails is a result)
        trial.failed = traceback.format_exc()
        with suppress(AssertionError):  # then the next trial fails as well, and is counted
            _mend(world, sites)
    trial.took = time.monotonic() - begun
    return trial


def _orders(world: World, sites: Sequence[Site], since: float) -> int:
    return sum(len(world.loads[site.name].between(since, time.monotonic())) for site in sites)


def _mend(world: World, sites: Sequence[Site]) -> None:
    """Whatever a failed trial left broken must not spoil the next one."""
    if world.postgres is not None:
        for kind, count in (("hub", 2), ("web", 2)):
            for _ in range(count - len(world.living(kind))):
                world.start(kind)
    world.aim()
    for site in sites:
        site.proxy.heal()
        site.kill()
        world.run("agents", "release", site.name)
        site.start()


def all_of(world: World, faults: Iterable[Fault], times: int, say: object = print) -> list[Trial]:
    """Every fault `times` times: those of a site at several sites at once, then those of the world."""
    work = [fault for fault in faults for _ in range(times)]
    trials: list[Trial] = []
    queue = [fault for fault in work if fault.where == "site"]

    def lane(site: Site) -> None:
        while True:
            try:
                fault = queue.pop(0)
            except IndexError:
                return
            trials.append(_told(one(world, fault, site), site, say))

    lanes = [threading.Thread(target=lane, args=(site,)) for site in world.sites]
    for thread in lanes:
        thread.start()
    for thread in lanes:
        thread.join()
    for number, fault in enumerate(fault for fault in work if fault.where != "site"):
        site = world.sites[number % len(world.sites)]
        trials.append(_told(one(world, fault, site), site, say))
    return trials


def _told(trial: Trial, site: Site, say: object) -> Trial:
    what = "good" if trial.good else f"BAD {trial.verdict.told[:5]} {trial.failed[-1500:]}"
    say(
        f"{trial.fault.id} {trial.fault.name} at {site.name}: {trial.verdict.orders} orders, {trial.took:.1f} s {[round(p, 1) for p in trial.phases]}, {what}"
    )  # type: ignore[operator]
    return trial


def table(trials: Sequence[Trial]) -> str:
    """One line for each fault."""
    groups: dict[tuple[str, str], list[Trial]] = defaultdict(list)
    for trial in trials:
        groups[trial.fault.id, trial.fault.name].append(trial)
    rows = [
        ("id", "fault", "trials", "orders", "lost", "doubled", "stuck", "other", "epochs", "noticed", "failed")
    ]
    for (id_, name), done in sorted(groups.items()):
        noticed = [trial.noticed for trial in done if trial.noticed is not None]
        sums = [
            sum(getattr(t.verdict, what) for t in done) for what in ("orders", "lost", "doubled", "stuck", "other")
        ]
        rows.append((
            id_, name, str(len(done)), *map(str, sums), "rise" if all(t.verdict.monotone for t in done) else "FALL",
            f"{max(noticed):.1f} s" if noticed else "-", str(sum(bool(t.failed) for t in done)),
        ))  # fmt: skip
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def counts(trials: Sequence[Trial]) -> dict[str, int]:
    """Trials of each id."""
    found: dict[str, int] = defaultdict(int)
    for trial in trials:
        found[trial.fault.id] += 1
    return dict(sorted(found.items()))
