"""What happens to the centre's processes, PostgreSQL, Redis and the provider."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import psutil

from tests.chaos.agent_faults import orders_go_by, pause
from tests.chaos.faults import RANDOM, fault
from tests.chaos.people import Load, Person
from tests.chaos.site import Site
from tests.chaos.world import World, faked
from tests.integration.replicas import Part
from tests.waiting import alive, until

RARE = ("before-accepted", "after-accepted")
MOMENTS = ("after-read", "before-accepted", "after-accepted", "before-settled", "after-settled")


def _everybody(world: World) -> None:
    for site in world.sites:
        site.connected()


def _mark(world: World) -> None:
    for site in world.sites:
        site.mark()


def _of_hub(world: World, hub: Part) -> list[Site]:
    """The facilities whose sessions it holds."""
    where = f"127.0.0.1:{world.hub_ports[hub.name]}"
    held = {name for name, address in world.held() if address == where}
    return [site for site in world.sites if site.name in held]


def _replaced(world: World, hub: Part, **more: str) -> Part:
    """The hub is killed, its facilities dial another one; that one."""
    left = _of_hub(world, hub)
    for site in left:
        site.mark()
        site.proxy.refuse()
    hub.kill()
    new = world.start("hub", **more)
    for site in left:
        site.proxy.targets.insert(0, world.hub_ports[new.name])
        site.proxy.listen()
    return new


@fault("F09", "hub killed after-sent", where="world")
def after_sent(world: World, site: Site) -> None:
    """Only what waits is marked as sent when it goes out: it is ordered while the facility is away."""
    site.proxy.refuse()
    site.proxy.reset()
    until(lambda: not world.seen_online(site), "the facility is seen to go", 60)
    orders_go_by(world, site, 3)
    crashing = world.start("hub", PARASOL_CRASH_AT="after-sent")
    site.proxy.targets.insert(0, world.hub_ports[crashing.name])
    site.proxy.listen()
    _dies(crashing)
    world.aim()
    site.mark()
    site.proxy.reset()
    site.connected()


def _dies(crashing: Part) -> None:
    until(lambda: not alive(crashing.process), f"{crashing.name} reaches its crash point", 60)
    assert crashing.process.returncode == -signal.SIGKILL, crashing.log.read_text()[-2000:]


def _crash(moment: str) -> None:
    @fault("F09", f"hub killed {moment}", where="world")
    def act(world: World, site: Site) -> None:
        crashing = _replaced(world, world.hub_of(site), PARASOL_CRASH_AT=f"{moment}:{RANDOM.randint(1, 2)}")
        busy = _kept_busy(world.loads[site.name], crashing) if moment in RARE else None
        _dies(crashing)
        site.mark()
        world.start("hub")
        site.connected()
        if busy is not None:
            busy.join(60)


def _kept_busy(load: Load, hub: Part) -> threading.Thread:
    """Orders that overtake each other, so that the hub's look once a second finds some between Accepted and result."""

    def work() -> None:
        while alive(hub.process):
            load.burst(10)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


for _moment in MOMENTS:
    _crash(_moment)


def _clock_jumps(shift: str) -> None:
    @fault("F19", f"hub's clock jumps by {shift}", where="world", needs=("libfaketime",))
    def act(world: World, site: Site) -> None:
        """Orders go on in the sessions that there are: nothing decides by two clocks."""
        clock = world.folder / f"clock{len(world.parts)}"
        clock.write_text("+0")
        hub = _replaced(world, world.hub_of(site), **faked(clock))
        site.connected()
        clock.write_text(shift)
        pause(1.5)  # as long as the file may be remembered
        orders_go_by(world, site, 5)
        site.mark()
        _replaced(world, hub)
        site.connected()


for _shift in ("+1h", "-1h"):
    _clock_jumps(_shift)


@fault("F10", "web process killed while people wait", where="world")
def web_killed(world: World, _site: Site) -> None:
    """They ask again at another one, under the same ids."""
    RANDOM.choice(world.living("web")).kill()
    world.start("web")


@fault("F10", "web process killed around its commit", where="world")
def web_crashes(world: World, _site: Site) -> None:
    """The order is there whole or not at all."""
    RANDOM.choice(world.living("web")).kill()
    crashing = world.start("web", PARASOL_CRASH_AT=f"{RANDOM.choice(('before-ordered', 'after-ordered'))}:2")
    _dies(crashing)
    world.start("web")


def _restart(mode: str) -> None:
    @fault("F11", f"PostgreSQL restarted ({mode})", where="world")
    def act(world: World, _site: Site) -> None:
        assert world.postgres is not None
        world.postgres.stop(mode)
        world.postgres.start()


_restart("fast")
_restart("immediate")


@fault("F11", "PostgreSQL stalls", where="world")
def stalls(world: World, _site: Site) -> None:
    """As long as a lease, or longer: sessions may be lost, orders not."""
    assert world.postgres is not None
    first = psutil.Process(int(Path(world.postgres.folder, "data", "postmaster.pid").read_text().split()[0]))
    family = [first, *first.children(recursive=True)]
    for process in family:
        process.suspend()
    try:
        pause(world.timers.lease)
    finally:
        for process in family:
            process.resume()


@fault("F12", "Redis killed", where="world")
def redis_killed(world: World, _site: Site) -> None:
    """Everything is slower for a while."""
    assert world.redis is not None
    world.redis.kill()
    pause(1.5)
    world.redis.start()


@fault("F12", "Redis frozen", where="world")
def redis_frozen(world: World, _site: Site) -> None:
    """Nobody waits for it."""
    assert world.redis is not None
    world.redis.freeze()
    pause(1.5)
    world.redis.thaw()


@fault("F12", "every hint is lost", where="world")
def hints_lost(world: World, site: Site) -> float:
    """An order takes at most a sweep more."""
    assert world.redis_way is not None
    begun = time.monotonic()
    world.redis_way.hold(up=True, down=True)
    pause(2.5)
    took = [a.took for a in world.loads[site.name].between(begun, time.monotonic()) if a.told]
    world.redis_way.heal()
    return max(took, default=0.0)


@fault("F17", "a frozen hub wakes after its agents have left", where="world")
def zombie(world: World, site: Site) -> None:
    """Whatever it still writes changes nothing, and it goes on as a hub."""
    hub = world.hub_of(site)
    left = _of_hub(world, hub)
    seen = len(hub.log.read_text(errors="replace"))
    hub.send(signal.SIGSTOP)
    try:
        for one in left:
            one.mark()
            one.proxy.targets[:] = [p for p in one.proxy.targets if p != world.hub_ports[hub.name]]
            one.proxy.reset()
        for one in left:
            one.connected()
        pause(world.timers.lease)
    finally:
        hub.send(signal.SIGCONT)
    until(lambda: "ended (" in hub.log.read_text(errors="replace")[seen:], "the zombie's sessions are over", 60)
    world.aim()


@fault("F24", "hub drains", where="world")
def drains(world: World, site: Site) -> float:
    """Its agents open the next session before they leave."""
    hub = world.hub_of(site)
    left = _of_hub(world, hub)
    for one in left:
        one.mark()
        one.proxy.targets[:] = [p for p in one.proxy.targets if p != world.hub_ports[hub.name]]
    begun = time.monotonic()
    hub.stop()
    took = time.monotonic() - begun
    for one in left:
        one.connected()
    world.start("hub")
    return took


@fault("F27", "hub stalls for less than it may", where="world")
def hub_stalls(world: World, site: Site) -> None:
    """Nobody is quarantined, and no session ends."""
    hub, epochs = world.hub_of(site), site.epochs()
    hub.send(signal.SIGSTOP)
    try:
        pause(world.timers.dead_after * 0.2)
    finally:
        hub.send(signal.SIGCONT)
    pause(world.timers.heartbeat * 2)
    assert site.epochs() == epochs, "the session outlives it"
    assert not [a for a in world.agents() if a["quarantined"]], world.agents()


@fault("F28", "the provider serves garbage", where="world")
def provider(world: World, site: Site) -> None:
    """Nobody signs in; who is in goes on; afterwards people sign in again."""
    newcomer = Person(site.people[0], world.op, site, world.webs)
    world.op.metadata = {"issuer": "https://elsewhere.example"}
    signed = world.op.sign
    world.op.sign = lambda _op, _claims: "garbage"
    try:
        seen = newcomer.tab()
        world.op.person = (newcomer.name, newcomer.sid)
        start = seen.get("/signin/op?return=/")
        if start.status == 302:
            back = seen.get(world.op.answer(start.location).partition(f":{8}")[2], site="cross-site")
            assert "/signin/failed" in back.location, back.location
        pause(1.0)
    finally:
        world.op.metadata, world.op.sign = {}, signed
    newcomer.come()


@fault("F29", "agent and hub killed at once", where="world")
def both(world: World, site: Site) -> float:
    """They find each other again, and nothing is lost between them."""
    hub = world.hub_of(site)
    begun = time.monotonic()
    hub.kill()
    site.kill()
    world.start("hub")
    site.start()
    return time.monotonic() - begun
