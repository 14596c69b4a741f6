"""A centre and its facilities as processes, beside the floor's two, on one database server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from facility_agent.link.keys import load_or_create_key, public_text
from tests.benchmarks.link.helper import Helper, helper
from tests.waiting import free_port, until


@dataclass(frozen=True)
class Scene:
    """What runs."""

    centre: Helper
    agents: tuple[Helper, ...]
    facilities: tuple[str, ...]


def _federation(folder: Path, slugs: tuple[str, ...]) -> Path:
    file = folder / "federation.toml"
    file.write_text(
        "\n".join(
            f'[[facilities]]\nid="{slug}"\nname="{slug}"\npublic_key="{public_text(load_or_create_key(folder / f"{slug}.key"))}"\n'
            f'gateway="http://{slug}.localhost:1"\nworkspace_zone="{slug}-w.localhost:1"\n'
            for slug in slugs
        )
    )
    return file


@contextmanager
def centre_for(folder: Path, database: str, count: int) -> Iterator[tuple[Helper, str, tuple[str, ...]]]:
    """A centre on `database` (empty: SQLite), the hub's address, and so many facilities, none of them connected.

    Under TLS when the folder has `hub.pem` and `hub.key`.
    """
    slugs, hub = tuple(f"facility-{n:03d}" for n in range(count)), f"127.0.0.1:{free_port()}"
    if (folder / "hub.pem").exists():
        secure = {"PARASOL_HUB_CERTIFICATE": str(folder / "hub.pem"), "PARASOL_HUB_KEY": str(folder / "hub.key")}
        secure |= {"PARASOL_HUB_CA": str(folder / "hub.pem"), "PARASOL_HUB_MUTUAL_LISTEN": ""}
    else:
        secure = {"PARASOL_HUB_PLAINTEXT": "1"}
    variables = {
        "PARASOL_DATA": str(folder), "PARASOL_DATABASE": database, "PARASOL_HUB_LISTEN": hub,
        "PARASOL_FEDERATION": str(_federation(folder, slugs)), **secure,
    }  # fmt: skip
    with helper("centre", *slugs, **variables) as centre:
        yield centre, hub, slugs


@contextmanager
def running(folder: Path, database: str, processes: tuple[int, ...], *, quiet: bool = False) -> Iterator[Scene]:
    """The same with all facilities connected; `processes` says how many each process of agents plays.

    They have the real core, or nothing behind the link when `quiet`.
    """
    kind: tuple[str, ...] = ("quiet", "agents") if quiet else ("agents",)
    with ExitStack() as stack:
        centre, hub, slugs = stack.enter_context(centre_for(folder, database, sum(processes)))
        agents, left = [], list(slugs)
        for count in processes:
            mine, left = left[:count], left[count:]
            agents.append(stack.enter_context(helper(*kind, folder, hub, *mine)))
        until(lambda: len(centre.tell("online")) == len(slugs), "all facilities are online", 60)
        yield Scene(centre, tuple(agents), slugs)


@contextmanager
def floor(folder: Path, database: str) -> Iterator[Helper]:
    """The floor of an order's round trip."""
    with ExitStack() as stack:
        centre = stack.enter_context(helper("floor", "centre", folder, database))
        stack.enter_context(helper("floor", "agent", folder, centre.tell("port")))
        yield centre
