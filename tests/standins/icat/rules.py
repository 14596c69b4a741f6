"""Who may read what, by the rows of the Rule table alone. A rule of an unknown shape is an error, never a permission."""

from __future__ import annotations

import re
from typing import Any

from tests.standins.icat.jpql import Parser, Refused
from tests.standins.icat.schema import ATTRIBUTES
from tests.standins.icat.world import Icat


def readable(world: Icat, entity: str, user: str) -> set[int]:
    """The ids of the rows of an entity that a user may read."""
    if user in world.root:
        return set(world.rows[entity])
    seen = set[int]()
    for rule in world.rows["Rule"].values():
        if "R" in rule["crudFlags"] and _about(rule["what"]) == entity and _holds(world, rule, user):
            seen |= _granted(world, rule["what"], entity, user)
    return seen


def _about(what: str) -> str:
    found = re.match(r"SELECT \w+ FROM (\w+)|(\w+)", what)
    if found is None:
        raise Refused("INTERNAL", f"unknown rule {what!r}")
    return found[1] or found[2]


def _holds(world: Icat, rule: dict[str, Any], user: str) -> bool:
    grouping = rule.get("grouping")
    people = [row for row in world.rows["UserGroup"].values() if row["grouping"] == grouping]
    return grouping is None or any(world.rows["User"][row["user"]]["name"] == user for row in people)


def _granted(world: Icat, what: str, entity: str, user: str) -> set[int]:
    if what == entity and entity in ATTRIBUTES:
        return set(world.rows[entity])
    if not what.startswith("SELECT "):
        raise Refused("INTERNAL", f"unknown rule {what!r}")
    parser = Parser(world, what, user)
    query = parser.parse()
    return {binding[query.root]["id"] for binding in parser.answer()}
