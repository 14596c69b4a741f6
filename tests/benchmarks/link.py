"""The link: an order's round trip, orders a second, CPU and memory, and what one stalled agent does to the others."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.benchmarks import link_idle, link_stream
from tests.benchmarks.link_driver import AGENTS
from tests.benchmarks.link_world import LinkWorld, link_world
from tests.benchmarks.measure import Figure, percentile
from tests.components import path_of

TRIPS = 300
WRITERS = 32
SECONDS = 10.0
FLOOR = "gRPC echo + 2 + 2 commits"


def run() -> list[Figure]:
    """All figures of the link."""
    figures: list[Figure] = []
    with link_world(AGENTS) as world:
        world.scaled()
        figures += _trips(world, "web", "PostgreSQL")
        figures.append(_many(world))
    with link_world(1) as world:
        world.embedded()
        figures += _trips(world, "serve", "embedded")
    return [*figures, *link_stream.run(), *link_idle.run()]


def _trips(world: LinkWorld, shape: str, where: str) -> list[Figure]:
    found = world.driver(shape, "trips", TRIPS)
    figures = []
    for name, share, most in (("p50", 0.5, 1.3), ("p99", 0.99, 4.0)):
        ours, floor = (1000 * percentile(found[kind], share) for kind in ("ours", "floor"))
        figures.append(
            Figure(
                f"order, round trip, {where}, {name}",
                ours,
                floor,
                "ms",
                FLOOR,
                f"<= {most:g} x",
                ours <= most * floor,
            )
        )
    return figures


def _many(world: LinkWorld) -> Figure:
    assert world.postgres is not None
    floor = _pgbench(world.environment["PARASOL_DATABASE"], world.folder)
    ours = float(world.driver("web", "many", WRITERS, SECONDS)["rate"])
    met = ours >= 0.25 * floor and ours >= 500
    name, note = f"durable orders, {WRITERS} at once", f"{AGENTS} facilities, {SECONDS:g} s"
    return Figure(name, ours, floor, "/s", "pgbench, simple insert", ">= 0.25 x, >= 500/s", met, note)


def _pgbench(database: str, folder: Path) -> float:
    """Transactions a second of one insert each, as many at once."""
    script = folder / "insert.sql"
    script.write_text("insert into bench (body) values (repeat('x', 300)::bytea);\n")
    programs = Path(path_of("postgresql"))
    create = "create table bench (id bigserial primary key, body bytea)"
    subprocess.run([programs / "psql", database, "-qc", create], check=True)
    command = [programs / "pgbench", "-n", "-c", str(WRITERS), "-j", "2", "-T", "5", "-f", str(script), database]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    assert found, done.stdout
    return float(found[1])
