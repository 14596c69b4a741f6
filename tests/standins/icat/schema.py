"""ICAT's entities, their attributes and their relations.

`entities.txt` has one entity a line, as the classes of org.icatproject.core.entity declare them (icat.server, version of
25 June 2026, 48fb3271): `name:Type` is an attribute, `name>Entity` leads to one row, and `name<Entity.back` to the rows
whose `back` leads here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

COMMON = {"id": "Long", "createId": "String", "createTime": "Date", "modId": "String", "modTime": "Date"}


@dataclass(frozen=True)
class Entity:
    """`attributes` have types, `one` leads to an entity, `many` to an entity and its relation back."""

    name: str
    attributes: dict[str, str]
    one: dict[str, str]
    many: dict[str, tuple[str, str]]

    def target(self, relation: str) -> str | None:
        """The entity that a relation leads to, None when there is no such relation."""
        return self.one.get(relation) or self.many.get(relation, (None,))[0]

    def type_of(self, attribute: str) -> str | None:
        """The type of an attribute, those that every entity has included; None when there is none."""
        return self.attributes.get(attribute) or COMMON.get(attribute)


def _read(line: str) -> Entity:
    name, *fields = line.split()
    attributes, one, many = dict[str, str](), dict[str, str](), dict[str, tuple[str, str]]()
    for field in fields:
        key, sign, what = re.fullmatch(r"(\w+)([:<>])([\w.]+)", field).groups()  # type: ignore[union-attr]
        if sign == ":":
            attributes[key] = what
        elif sign == ">":
            one[key] = what
        else:
            child, _, back = what.partition(".")
            many[key] = (child, back)
    return Entity(name, attributes, one, many)


_LINES = Path(__file__).with_name("entities.txt").read_text(encoding="utf-8").splitlines()
ENTITIES = {entity.name: entity for entity in map(_read, _LINES)}
