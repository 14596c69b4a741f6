"""The centre in one process, and the people who ask it: `python -m tests.benchmarks.link.centre PEOPLE`.

What a person's request costs before it reaches the workspaces (HTTP, GraphQL, the session) is not measured here.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
import uuid
from typing import Any

import uvloop

from shared.catalogue import SearchQuery
from shared.commands import Redeemed, Verb
from shared.errors import ParasolError
from shared.facilities import Outcome
from shared.identity import Scope, Subject
from shared.workspaces import LaunchRequest
from tests.benchmarks.link.agents import PEOPLE
from tests.benchmarks.link.helper import obey
from tests.benchmarks.person import SECRET, grant_of

LAUNCH = LaunchRequest("jupyter", "small", ("P-1",), "", "Mine", 3600)


class Asking:
    """The people, each with a grant at each facility."""

    def __init__(self, centre: Any, facilities: list[str]) -> None:
        self._centre, self._facilities = centre, facilities
        self._workspaces, self._identity = centre.services.workspaces, centre.services.identity
        self._callers: list[Any] = []

    async def come(self) -> None:
        """Sign in and keep the grants."""
        from central_portal.identity.services import COOKIE

        for n in range(PEOPLE):
            who = Subject("http://op", f"person{n}-{uuid.uuid4().hex[:8]}")
            cookie = await self._identity.sign_in("", who, "Ada", "op", f"sid-{who.sub}", "t")
            caller = await self._identity.caller({COOKIE: cookie})
            for slug in self._facilities:
                grant = Redeemed(grant_of(slug, n), (Scope.READ, Scope.RUN), 3_600_000, int(time.time() * 1000))
                await self._identity.keep_grant(caller, slug, grant, SECRET)
            self._callers.append(caller)

    async def online(self) -> list[str]:
        """The facilities that are connected."""
        return [slug for slug in self._facilities if self._centre.facilities.get(slug).online]

    async def launch(self, slug: str, number: int) -> tuple[float, str]:
        """(seconds, id) of one launch from its asking to its settled result."""
        caller, name = self._callers[number % PEOPLE], str(uuid.uuid4())
        begun = time.perf_counter()
        view = await self._workspaces.launch(caller, slug, name, LAUNCH)
        took = time.perf_counter() - begun
        assert view.sequence > 0, f"{view.state}: {view.reason} {view.message} after {took:.1f} s"
        return took, name

    async def stop(self, number: int, name: str) -> float:
        """Seconds of one stop."""
        begun = time.perf_counter()
        await self._workspaces.stop(self._callers[number % PEOPLE], name)
        return time.perf_counter() - begun

    async def one(self, slug: str, count: int) -> list[float]:
        """Round trips of `count` launches, one after the other; each workspace is stopped meanwhile."""
        took = []
        for n in range(count):
            seconds, name = await self.launch(slug, n)
            took.append(seconds)
            await self.stop(n, name)
        return took

    async def sustain(self, writers: int, seconds: float, facilities: list[str]) -> dict[str, Any]:
        """Each writer launches and stops, one order after the other, at facilities in turn."""
        took: list[float] = []
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds

        async def write(number: int) -> None:
            turn = number
            while loop.time() < until:
                turn += writers
                slug = facilities[turn % len(facilities)]
                launched, name = await self.launch(slug, turn // len(facilities))
                took.append(launched)
                took.append(await self.stop(turn // len(facilities), name))

        begun, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(write(n) for n in range(writers)))
        lasted = time.perf_counter() - begun
        return {"rate": len(took) / lasted, "took": took, "cpu": (time.process_time() - cpu) / len(took)}

    async def asks(
        self,
        facilities: list[str],
        seconds: float,
        at_once: int,
        stalled: list[str] = [],  # noqa: B006
    ) -> dict[str, Any]:
        """Queries for a while, `at_once` at each facility; at `stalled` ones as many, which nobody answers."""
        from central_portal.link.commands import command_body
        from central_portal.link.ports import SealedBody

        loop, took = asyncio.get_running_loop(), list[float]()
        until = loop.time() + seconds

        async def ask(slug: str, within: float, told: list[float], after: float = 0.0) -> None:
            await asyncio.sleep(after)
            body = command_body(slug, "c", Verb.SEARCH, SearchQuery(), 0)
            while loop.time() < until:
                begun = time.perf_counter()
                try:
                    answer = await self._centre.hub.links.ask(slug, Verb.SEARCH, SealedBody(body), within)
                    assert answer.outcome is Outcome.OK, answer.problem
                except ParasolError:
                    await asyncio.sleep(0.01)
                else:
                    told.append(time.perf_counter() - begun)

        cpu = time.process_time()
        await asyncio.gather(
            *(ask(slug, 5.0, took) for slug in facilities for _ in range(at_once)),
            *(ask(slug, 1.28, [], 0.02 * n) for slug in stalled for n in range(64)),  # evenly spread
        )
        return {"took": took, "cpu": time.process_time() - cpu}


async def main(facilities: list[str]) -> None:
    """Serve until told to stop."""
    from central_portal.composition import Shape, compose
    from central_portal.running import _in_the_background
    from central_portal.settings import centre_settings, federation

    centre = compose(centre_settings(), federation(), Shape.EMBEDDED)
    assert centre.hub is not None
    gc.collect()
    gc.freeze()
    await centre.roster.look()
    await centre.facilities.refresh()
    asking = Asking(centre, facilities)
    async with _in_the_background(centre):
        await centre.hub.start()
        await asking.come()
        await obey({"online": asking.online, "one": asking.one, "sustain": asking.sustain, "asks": asking.asks})
        await centre.hub.stop()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "central_portal.settings")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    uvloop.run(main(sys.argv[1:]))
