"""The aliases of a query, the paths from them, and the rows behind both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.standins.icat.errors import bad
from tests.standins.icat.schema import ENTITIES
from tests.standins.icat.world import Icat, Row

Binding = dict[str, Row | None]


@dataclass(frozen=True)
class Value:
    """Something to compare: its type (that of an attribute, or an entity's name) and how to get it."""

    type: str
    get: Callable[[Binding], Any]
    literal: bool = False


@dataclass(frozen=True)
class Path:
    """alias[.relation…][.attribute]: `steps` are the relations, each with the entity that it leaves."""

    alias: str
    steps: tuple[tuple[str, str], ...]
    attribute: str | None
    entity: str

    @property
    def type(self) -> str:
        """The attribute's type, or the entity at the end."""
        return self.entity if self.attribute is None else str(ENTITIES[self.entity].type_of(self.attribute))


class Scope:
    """The aliases, which are known in any case of letters. `user` is what `:user` stands for."""

    def __init__(self, world: Icat, user: str) -> None:
        self.world, self.user = world, user
        self.kinds = dict[str, str]()
        # JPA walks a path by inner joins: a binding for which one leads nowhere is no answer, whatever the rest says.
        self.walked = set[tuple[str, tuple[tuple[str, str], ...]]]()
        self._behind = dict[tuple[str, str], dict[int, list[Row]]]()

    def path(self, text: str, error: str) -> Path:
        """The path of this text. Raises Refused with `error`, in which {alias}, {entity} and {name} can stand."""
        said, *names = text.split(".")
        alias = said.upper()
        if alias not in self.kinds:
            raise bad(f"The identification variable '{said}' is not defined in the FROM clause.")
        entity, steps = self.kinds[alias], list[tuple[str, str]]()
        for at, name in enumerate(names):
            known = ENTITIES[entity]
            if name in known.one:
                steps.append((entity, name))
                entity = known.one[name]
            elif at == len(names) - 1 and known.type_of(name):
                return self._walk(Path(alias, tuple(steps), name, entity))
            else:
                raise bad(error.format(path=text, entity=entity, name=name))
        return self._walk(Path(alias, tuple(steps), None, entity))

    def _walk(self, path: Path) -> Path:
        if path.steps:
            self.walked.add((path.alias, path.steps))
        return path

    def value(self, path: Path) -> Value:
        """What stands at the end of a path."""

        def get(binding: Binding) -> Any:
            row = self.row(binding, path.alias, path.steps)
            return row if row is None or path.attribute is None else row.get(path.attribute)

        return Value(path.type, get)

    def row(self, binding: Binding, alias: str, steps: tuple[tuple[str, str], ...]) -> Row | None:
        """The row that relations to one lead to."""
        row = binding[alias]
        for entity, relation in steps:
            row = None if row is None else next(iter(self.step(entity, row, relation)), None)
        return row

    def stands(self, binding: Binding) -> bool:
        """Whether every path that was walked leads somewhere."""
        return all(self.row(binding, alias, steps) is not None for alias, steps in self.walked)

    def step(self, entity: str, row: Row, relation: str) -> list[Row]:
        """The rows that a relation of this row leads to."""
        known = ENTITIES[entity]
        if relation in known.one:
            target = row.get(relation)
            return [] if target is None else [self.world.rows[known.one[relation]][target]]
        key = known.many[relation]
        if key not in self._behind:
            index = self._behind.setdefault(key, {})
            for other in self.world.rows[key[0]].values():
                index.setdefault(other.get(key[1], 0), []).append(other)
        return self._behind[key].get(row["id"], [])
