"""What the stand-in holds: rows by entity, who may sign in, sessions, and what was asked of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import yaml

from tests.standins.icat.errors import Refused
from tests.standins.icat.schema import ENTITIES

Row = dict[str, Any]
_HIDDEN = {"password", "token"}


@dataclass(frozen=True)
class Authenticator:
    """One plugin: the `keys` that it wants, and `check`, which names the user or raises Refused."""

    keys: tuple[str, ...]
    check: Callable[[Mapping[str, str]], str]

    @property
    def described(self) -> list[dict[str, Any]]:
        """The keys as `/properties` lists them."""
        return [{"name": key, "hide": True} if key in _HIDDEN else {"name": key} for key in self.keys]


def passwords(mnemonic: str, accounts: Mapping[str, str]) -> Authenticator:
    """The plugin of these names and passwords, as authn.simple and authn.db are."""

    def check(given: Mapping[str, str]) -> str:
        if accounts.get(given["username"]) != given["password"]:
            raise Refused("SESSION", "The username and password do not match")
        return f"{mnemonic}/{given['username']}"

    return Authenticator(("username", "password"), check)


def anonymous() -> Authenticator:
    """The plugin that everyone gets in by, as nobody in particular."""
    return Authenticator((), lambda _: "anon/anon")


@dataclass
class Icat:
    """One ICAT. `root` are the users that its rules do not hold for; `zone` is where its dates are read and written."""

    rows: dict[str, dict[int, Row]] = field(default_factory=lambda: {name: {} for name in ENTITIES})
    authenticators: dict[str, Authenticator] = field(default_factory=dict)
    root: frozenset[str] = frozenset({"simple/root"})
    sessions: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    zone: tzinfo = UTC
    life: timedelta = timedelta(minutes=120)
    most: int = 10000
    made: int = 0

    def add(self, entity: str, **values: Any) -> int:
        """The id of a new row; a relation is given as the other row's id. Raises ValueError for an unknown attribute."""
        known = ENTITIES[entity]
        self.made += 1
        row: Row = {"id": self.made}
        stamp = {"createId": "simple/root", "createTime": datetime(2025, 1, 1, tzinfo=UTC)}
        for name, value in {**stamp, "modId": stamp["createId"], "modTime": stamp["createTime"], **values}.items():
            if name not in known.one and known.type_of(name) is None:
                raise ValueError(f"{entity} has no {name}")
            row[name] = value
        self.rows[entity][self.made] = row
        return self.made

    def named(self, entity: str, name: str) -> int:
        """The id of the first row of this name."""
        return next(number for number, row in self.rows[entity].items() if row.get("name") == name)


def read(path: Path) -> list[dict[str, Any]]:
    """The documents of a dump that python-icat's icatdump wrote as YAML."""
    return [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]


def load(documents: Iterable[Mapping[str, Any]]) -> Icat:
    """The world of a dump's documents. Raises ValueError for what the schema does not know, KeyError for a loose end."""
    world, keys, links = Icat(), dict[str, int](), list[tuple[str, int, str, str]]()
    for document in documents:
        for kind, objects in document.items():
            entity = kind[0].upper() + kind[1:]
            for key, values in objects.items():
                keys[key] = _take(world, entity, values, links)
    for entity, number, relation, key in links:
        world.rows[entity][number][relation] = keys[key]
    return world


def _take(world: Icat, entity: str, values: Mapping[str, Any], links: list[tuple[str, int, str, str]]) -> int:
    known = ENTITIES[entity]
    number = world.add(entity)
    for name, value in values.items():
        if name in known.many:
            child, back = known.many[name]
            for each in value:
                world.rows[child][_take(world, child, each, links)][back] = number
        elif name in known.one:
            links.append((entity, number, name, value))
        else:
            world.rows[entity][number][name] = _typed(known.type_of(name), f"{entity}.{name}", value)
    return number


def _typed(kind: str | None, where: str, value: Any) -> Any:
    if kind is None:
        raise ValueError(f"there is no {where}")
    if kind == "Date":
        return datetime.fromisoformat(value)
    return {"Double": float, "Long": int, "Integer": int, "Boolean": bool}.get(kind, str)(value)
