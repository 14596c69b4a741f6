"""Orders as a web process gives them, measured in a process of its own: `… SHAPE FOLDER ECHO-PORT WHAT NUMBER SECONDS`.

SHAPE is `web` (beside a hub process) or `serve`; WHAT is `trips` (NUMBER round trips, each beside a floor of the
same kind) or `many` (NUMBER at once for SECONDS). Prints one JSON object. The environment is the centre's.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import sqlite3
import sys
import time
import uuid
from functools import partial
from pathlib import Path
from typing import Any

from shared import resolver

BODY = b"x" * 300
AGENTS = 20


class Orders:
    """Gives an order and waits until it is settled, by the parts of the centre that do so for a web process."""

    def __init__(self, centre: Any, links: Any) -> None:
        self._writer, self._links = centre.writer, links
        self._settlements = centre.services.workspaces._settlements
        self._facilities = centre.facilities

    async def ready(self, count: int) -> None:
        """Wait until so many facilities are online."""
        async with asyncio.timeout(60):
            while sum(view.online for view in self._facilities.all()) < count:  # noqa: ASYNC110 (rows, not events)
                await asyncio.sleep(0.05)

    async def one(self, facility: str, person: int) -> None:
        """To stop what never was: stored, accepted, settled and acknowledged like any other."""
        from central_portal.link import orders
        from central_portal.link.commands import command_body
        from central_portal.link.ports import NewOrder, SealedBody
        from shared.commands import Stop, Verb
        from shared.wire import proof
        from tests.benchmarks.link_agents import grant_of

        order_id, (grant_id, secret) = str(uuid.uuid4()), grant_of(facility, person)
        body = command_body(facility, order_id, Verb.STOP, Stop(str(uuid.uuid4())), 0)
        sealed = SealedBody(body, grant_id, proof.mac(secret, body))
        order = NewOrder(order_id, facility, Verb.STOP, 1, "", sealed, time.time(), None)
        with self._settlements.expect(order_id) as hint:
            await self._writer(partial(orders.insert, order, online=True))
            self._links.deliver(facility)
            standing = await self._settlements.outcome(order_id, hint, 10.0)
        assert standing is not None
        assert (standing.state.value, standing.outcome) == ("SETTLED", "OK"), standing


class Floor:
    """A gRPC echo, two commits at the centre and two at the facility, one after the other."""

    def __init__(self, folder: Path, port: int, database: str) -> None:
        self._folder, self._port, self._database = folder, port, database
        self._facility = self._sqlite(folder / "floor-facility.sqlite3")
        if database:
            import psycopg

            self._centre: Any = psycopg.connect(database, autocommit=True)
            self._centre.execute("create table if not exists floor (id uuid primary key, body bytea)")
            self._insert = "insert into floor values (%s, %s)"
        else:
            self._centre, self._insert = (
                self._sqlite(folder / "floor-centre.sqlite3"),
                "insert into floor values (?, ?)",
            )

    @staticmethod
    def _sqlite(path: Path) -> sqlite3.Connection:
        made = sqlite3.connect(path, isolation_level=None)
        made.execute("pragma journal_mode = wal")
        made.execute("pragma synchronous = full")
        made.execute("create table if not exists floor (id text primary key, body blob)")
        return made

    async def one(self, stream: Any) -> None:
        """As an order goes: it is committed, sent, accepted, carried out, answered, settled."""
        self._centre.execute(self._insert, (str(uuid.uuid4()), BODY))
        await stream.write(BODY)
        await stream.read()
        for _ in range(2):
            self._facility.execute("insert into floor values (?, ?)", (str(uuid.uuid4()), BODY))
        self._centre.execute(self._insert, (str(uuid.uuid4()), BODY))

    def stream(self) -> Any:
        """Mutual TLS to the echo."""
        import grpc

        from facility_agent.link.stream import open_stream

        certificate, key = ((self._folder / name).read_bytes() for name in ("hub.pem", "hub.key"))
        return open_stream(
            f"localhost:{self._port}", grpc.ssl_channel_credentials(certificate, key, certificate), ()
        )


async def _trips(orders: Orders, floor: Floor, count: int) -> dict[str, list[float]]:
    ours, floors = [], []
    async with floor.stream() as stream:
        for number in range(count + WARM_UP):
            begun = time.perf_counter()
            await orders.one("link-0", number % 40)
            between = time.perf_counter()
            await floor.one(stream)
            if number >= WARM_UP:
                ours.append(between - begun)
                floors.append(time.perf_counter() - between)
            await asyncio.sleep(0.01)
    return {"ours": ours, "floor": floors}


async def _many(orders: Orders, at_once: int, seconds: float) -> dict[str, float]:
    done, end = 0, 0.0

    async def write(number: int) -> None:
        nonlocal done
        dice = random.Random(number)
        while time.perf_counter() < end:
            await orders.one(f"link-{dice.randrange(AGENTS)}", dice.randrange(40))
            done += 1

    end = time.perf_counter() + 1.0
    await asyncio.gather(*(write(number) for number in range(at_once)))
    done, begun = 0, time.perf_counter()
    end = begun + seconds
    await asyncio.gather(*(write(number) for number in range(at_once)))
    return {"rate": done / (time.perf_counter() - begun)}


async def _measure(shape: str, folder: Path, port: int, what: str, number: int, seconds: float) -> dict[str, Any]:
    from central_portal.composition import Shape, compose
    from central_portal.link.wakes_memory import MemoryWakes
    from central_portal.running import _in_the_background
    from central_portal.settings import centre_settings, federation

    settings = centre_settings()
    centre = compose(settings, federation(), Shape(shape))
    assert shape == "web" or isinstance(centre.wakes, MemoryWakes)
    await centre.roster.look()
    await centre.facilities.refresh()
    async with _in_the_background(centre):
        if centre.hub is not None:
            await centre.hub.start()
        try:
            orders = Orders(centre, centre.hub.links if centre.hub else centre.relay)
            print("ready", file=sys.stderr, flush=True)
            await orders.ready(1 if what == "trips" else AGENTS)
            if what == "trips":
                return await _trips(orders, Floor(folder, port, settings.database), number)
            return await _many(orders, number, seconds)
        finally:
            if centre.hub is not None:
                await centre.hub.stop()


WARM_UP = 30


def main() -> None:
    """Entry point."""
    import django
    import uvloop

    resolver.install()
    logging.disable()
    os.environ["DJANGO_SETTINGS_MODULE"] = "central_portal.settings"
    django.setup()
    shape, folder, port, what, number, seconds = sys.argv[1:]
    found = uvloop.run(_measure(shape, Path(folder), int(port), what, int(number), float(seconds)))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
