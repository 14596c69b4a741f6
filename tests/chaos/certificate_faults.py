"""Certificates that are renewed, run out and are revoked, in a world whose time of day is a file's."""

from __future__ import annotations

import re
import time

from tests.chaos.faults import fault
from tests.chaos.network_faults import Sides
from tests.chaos.site import Site
from tests.chaos.world import World
from tests.waiting import until

IN_USE = re.compile(r"The certificate until \S+ \S+ is in use")
NEEDS = ("libfaketime",)
LOOKS = 45.0
"""An agent looks every 30 s whether its certificate is due."""


def _shift(world: World, hours: int) -> None:
    clock = world.folder / "clock"
    clock.write_text(f"+{int(clock.read_text().strip('+h')) + hours}h")


@fault("F20", "certificates are renewed in the middle of sessions", "certificates", NEEDS)
def renewed(world: World, _site: Site) -> None:
    """Every agent opens its next session with the new one before it leaves the old."""
    for site in world.sites:
        site.mark()
    _shift(world, 17)
    for site in world.sites:
        until(lambda site=site: IN_USE.search(site.news()), f"{site.name} uses its next certificate", LOOKS)  # type: ignore[misc]


@fault("F20", "a certificate runs out while its agent is away", "certificates", NEEDS)
def ran_out(world: World, site: Site) -> None:
    """It proves itself by its long-lived key."""
    site.stop()
    _shift(world, 25)
    site.start(wait=False)
    site.connected(LOOKS)
    for each in world.sites:  # the others' certificates have run out as well
        each.back(LOOKS)


@fault("F20", "an agent is revoked, and enrolled anew", "certificates", NEEDS)
def revoked(world: World, site: Site) -> float:
    """Its session ends within 5 s."""
    site.back(LOOKS)
    said, begun = Sides(world, site), time.monotonic()
    assert world.run("agent", "revoke", site.name).returncode == 0
    until(said.agent, "the session is cut", 10)
    took = time.monotonic() - begun
    site.kill()
    site.enrol(world.run("agent", "token", site.name).stdout.strip())
    site.start()
    assert took < 6.0, f"cut after {took:.1f} s, which begin before the command did"
    return took
