"""The dump of a real ICAT 6.2 as the stand-in holds it, and what that ICAT showed to each of its users."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from tests.components import path_of
from tests.standins.icat import Icat, anonymous, load, passwords, read

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SERVICE, PASSWORD = "parasol", "correct horse"
USERS = ["simple/root", "db/acord", "db/ahau", "db/jbotu", "db/jdoe", "db/nbour", "db/rbeck"]
# A dump does not say who made a row, and some rules ask for that. Only these makers fit what the real ICAT showed.
MADE = {
    "db/jbotu": {"DataCollection": [0]},
    "db/rbeck": {"DataCollection": [1]},
    "db/nbour": {"DataCollection": [2, 3], "Job": [0], "RelatedDatafile": [0]},
}


@cache
def documents() -> list[dict[str, Any]]:
    """The real dump, read once: nobody changes it."""
    return read(Path(path_of("icat-data")))


def dumped() -> Icat:
    """The world of the real dump, with everybody's password their name and a clock that stands."""
    world = load(documents())
    for user, kinds in MADE.items():
        for entity, places in kinds.items():
            for place in places:
                list(world.rows[entity].values())[place]["createId"] = user
    names = [user.partition("/")[2] for user in USERS]
    world.authenticators = {
        "db": passwords("db", {name: name for name in names}),
        "simple": passwords("simple", {"root": "root"}),
        "anon": anonymous(),
    }
    world.clock = lambda: NOW
    return world


def served() -> Icat:
    """The same, with the portal's account among those whom it lets see everything."""
    world = dumped()
    world.authenticators["simple"] = passwords("simple", {"root": "root", SERVICE: PASSWORD})
    world.root |= {f"simple/{SERVICE}"}
    return world


def recorded(user: str) -> dict[str, int]:
    """How many rows of each entity the real ICAT showed."""
    name = "" if user == "simple/root" else "." + user.partition("/")[2]
    text = Path(path_of("icat-data")).with_name(f"summary-6.2{name}").read_text(encoding="utf-8")
    assert f"User: {user}\n" in text
    return {entity: int(count) for entity, count in re.findall(r"^(\w+)\s+: (\d+)$", text, re.M)}
