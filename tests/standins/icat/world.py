"""What the stand-in holds: rows by entity, sessions, and what was asked of it. Loaded from an icatdump file."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.standins.icat.schema import ATTRIBUTES, DATES, MANY, ONE

Row = dict[str, Any]
USER = "parasol"


@dataclass
class Icat:
    """One ICAT. `root` are the names that it lets see everything, `passwords` those of its `simple` authenticator."""

    rows: dict[str, dict[int, Row]] = field(default_factory=lambda: {entity: {} for entity in ATTRIBUTES})
    root: frozenset[str] = frozenset({"simple/root", "simple/parasol"})
    passwords: dict[str, str] = field(default_factory=lambda: {"root": "root-word", USER: "service-word"})
    sessions: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    life: timedelta = timedelta(minutes=120)
    most: int = 10000
    logins: int = 0

    def add(self, entity: str, **values: Any) -> int:
        """A new row; a relation is given as the other row's id."""
        wrong = set(values) - ATTRIBUTES[entity] - set(ONE.get(entity, {}))
        if wrong:
            raise ValueError(f"{entity} has no {', '.join(sorted(wrong))}")
        number = 1 + sum(len(rows) for rows in self.rows.values())
        while any(number in rows for rows in self.rows.values()):
            number += 1
        self.rows[entity][number] = {"id": number, "createId": "simple/root", "modId": "simple/root", **values}
        return number

    def named(self, entity: str, name: str) -> int:
        """The id of the first row of this name."""
        return next(number for number, row in self.rows[entity].items() if row.get("name") == name)


def load(path: Path) -> Icat:
    """The world of a dump (python-icat's YAML form): what this stand-in's schema knows of it."""
    world, keys, links = Icat(), dict[str, int](), list[tuple[str, int, str, str]]()
    for document in _documents(path):
        for kind, objects in (document or {}).items():
            entity = kind[0].upper() + kind[1:]
            if entity in ATTRIBUTES:
                for key, values in objects.items():
                    keys[key] = _take(world, entity, values, links)
    for entity, number, relation, key in links:
        world.rows[entity][number][relation] = keys[key]
    return world


@cache
def _documents(path: Path) -> list[Any]:
    return list(yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader))


def _take(world: Icat, entity: str, values: dict[str, Any], links: list[tuple[str, int, str, str]]) -> int:
    number = world.add(entity)
    row = world.rows[entity][number]
    for name, value in values.items():
        if name in ATTRIBUTES[entity]:
            row[name] = datetime.fromisoformat(value) if name in DATES else value
        elif name in ONE.get(entity, {}):
            links.append((entity, number, name, value))
        elif name in MANY.get(entity, {}):
            child, back = MANY[entity][name]
            for each in value:
                world.rows[child][_take(world, child, each, links)][back] = number
    return number
