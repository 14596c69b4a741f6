"""What a network does to a facility's link."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from tests.chaos.agent_faults import pause
from tests.chaos.faults import RANDOM, fault
from tests.chaos.site import ENDED, Site
from tests.chaos.world import World
from tests.integration.replicas import Part
from tests.waiting import until


class Sides:
    """Watches until both ends of a facility's link have noticed that it is over."""

    def __init__(self, world: World, site: Site) -> None:
        self._site, self._hub = site, world.hub_of(site)
        site.mark()
        self._seen, self.begun = len(self._log()), time.monotonic()
        self._first: dict[str, float] = {}

    def _log(self) -> str:
        return self._hub.log.read_text(errors="replace")

    def agent(self) -> bool:
        """Whether it has said so."""
        return self._saw("agent", bool(ENDED.search(self._site.news())))

    def hub(self) -> bool:
        """Whether it has said so."""
        return self._saw("hub", f"The session of {self._site.name} ended" in self._log()[self._seen :])

    def _saw(self, side: str, noticed: bool) -> bool:
        if noticed:
            self._first.setdefault(side, time.monotonic() - self.begun)
        return noticed

    def last(self, *sides: Callable[[], bool]) -> float:
        """Seconds until the last of them had, infinite for one that has not."""
        return max(self._first.get(side.__name__, float("inf")) for side in sides)

    def noticed(self, *sides: Callable[[], bool]) -> float:
        """Seconds until the last of them has."""
        within = max(15.0, 31.0 * self._site.timers.dead_after / 24.0)  # no timer makes a loaded machine faster
        until(lambda: all(side() for side in sides or (self.agent, self.hub)), "both ends notice", within)
        return time.monotonic() - self.begun


def _blackhole(name: str, *, up: bool, down: bool) -> None:
    @fault("F13", f"network loses {name}")
    def act(world: World, site: Site) -> float:
        sides = Sides(world, site)
        site.proxy.hold(up=up, down=down)
        try:
            return sides.noticed()
        finally:
            site.proxy.heal()
            site.proxy.reset()
            site.connected()


_blackhole("both ways", up=True, down=True)
_blackhole("what the agent says", up=True, down=False)
_blackhole("what the hub says", up=False, down=True)


@fault("F13", "agent is frozen")
def agent_frozen(world: World, site: Site) -> float:
    """The hub notices; the agent does when it wakes."""
    sides = Sides(world, site)
    site.send(signal.SIGSTOP)
    try:
        return sides.noticed(sides.hub)
    finally:
        site.send(signal.SIGCONT)
        site.connected()


@fault("F13", "hub is frozen", where="world")
def hub_frozen(world: World, site: Site) -> float:
    """Its agents notice and go to another hub."""
    hub = world.hub_of(site)
    sides = Sides(world, site)
    hub.send(signal.SIGSTOP)
    try:
        noticed = sides.noticed(sides.agent)
        _elsewhere(world, hub)
        site.connected()
        return noticed
    finally:
        hub.send(signal.SIGCONT)
        world.aim()


def _elsewhere(world: World, hub: Part) -> None:
    for one in world.sites:
        one.proxy.targets[:] = [p for p in one.proxy.targets if p != world.hub_ports[hub.name]]


def _cut(name: str, change: Callable[[Site, int], None]) -> None:
    @fault("F14", f"connection is reset {name}")
    def act(_world: World, site: Site) -> None:
        """Several times in a row, each time a little later; then the backlog drains without another reset."""
        before = site.proxy.accepted
        for round_ in range(3):
            change(site, round_)
            site.mark()
            site.proxy.reset()
            until(lambda round_=round_: site.proxy.accepted > before + round_, "it dials again", 60)  # type: ignore[misc]
        pause(0.5)
        site.proxy.heal()
        site.mark()
        site.proxy.reset()
        site.connected()
        healed = site.proxy.accepted
        pause(1.0)
        assert site.proxy.accepted == healed, "it goes on resetting"


def _frame_up(site: Site, round_: int) -> None:
    site.proxy.change(lambda proxy: setattr(proxy.up, "cut_at", 3 + round_ + RANDOM.randrange(20)))


def _frame_down(site: Site, round_: int) -> None:
    site.proxy.change(lambda proxy: setattr(proxy.down, "cut_at", 3 + round_ + RANDOM.randrange(20)))


def _byte_up(site: Site, round_: int) -> None:
    site.proxy.change(lambda proxy: setattr(proxy.up, "cut_after", 500 + RANDOM.randrange(4000)))


def _byte_down(site: Site, round_: int) -> None:
    site.proxy.change(lambda proxy: setattr(proxy.down, "cut_after", 200 + RANDOM.randrange(3000)))


_cut("behind a frame of the agent's", _frame_up)
_cut("behind a frame of the hub's", _frame_down)
_cut("in the middle of what the agent says", _byte_up)
_cut("in the middle of what the hub says", _byte_down)


def _others(world: World, site: Site, begun: float) -> list[float]:
    """How long launches at the other facilities took meanwhile."""
    loads = [world.loads[other.name] for other in world.sites if other is not site]
    return [a.took for load in loads for a in load.between(begun, time.monotonic()) if a.took]


def _slow(name: str, change: Callable[[Site], None], lasts: float) -> None:
    @fault("F15", f"agent {name}", where="world")
    def act(world: World, site: Site) -> None:
        begun = time.monotonic()
        change(site)
        try:
            pause(lasts)
        finally:
            site.proxy.heal()
            site.proxy.reset()
        took = until(lambda: sorted(_others(world, site, begun)), "the others go on", 60)
        assert took[int(0.9 * len(took))] < 1.5, f"the others are slow: {took[-3:]}"


_slow("reads a kilobyte a second", lambda s: s.proxy.change(lambda p: setattr(p.down, "rate", 1000.0)), 3.0)
_slow("stops reading", lambda s: s.proxy.change(lambda p: setattr(p.down, "stall", True)), 3.0)


@fault("F16", "orders come again and again, and late")
def again(_world: World, site: Site) -> None:
    """Three times the agent's word is lost after it has heard the hub's; then the hub's, while people stop."""
    for _ in range(3):
        site.proxy.hold(up=True)
        pause(0.4)
        site.mark()
        site.proxy.reset()
        site.proxy.heal()
        site.connected()
    site.proxy.hold(down=True)
    pause(1.5)
    site.mark()
    site.proxy.reset()
    site.proxy.heal()
    site.connected()


@fault("F26", "ten times as many orders for one facility", where="world")
def overload(world: World, site: Site) -> None:
    """Refused early with a reason; the link stands and the others do not feel it."""
    load, epochs, begun = world.loads[site.name], site.epochs(), time.monotonic()
    load.burst(100)
    assert site.epochs() == epochs, "the link stands"
    took = until(lambda: sorted(_others(world, site, begun)), "the others go on", 60)
    assert took[int(0.9 * len(took))] < 2.0, f"the others are slow: {took[-3:]}"
