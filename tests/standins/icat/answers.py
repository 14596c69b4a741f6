"""What ICAT answers to a query of a user, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.standins.icat.errors import Refused
from tests.standins.icat.query import Include, Query, parse
from tests.standins.icat.rules import Rules
from tests.standins.icat.schema import COMMON, ENTITIES
from tests.standins.icat.scope import Binding, Scope
from tests.standins.icat.world import Icat, Row


def answered(world: Icat, text: str, user: str) -> list[Any]:
    """The result of a query as that user gets it. Raises Refused."""
    query, rules = parse(Scope(world, user), text), Rules(world, user)
    values = [_values(query, binding) for binding in query.bindings() if _readable(query, binding, rules)]
    if query.distinct:
        values = list({tuple(_key(each) for each in row): row for row in values}.values())
    if query.aggregate:
        values = [[_aggregate(query.aggregate, [row[0] for row in values])]]
    offset, number = query.limit or (0, None)
    values = values[offset:] if number is None else values[offset : offset + number]
    if len(values) > world.most:
        raise Refused("VALIDATION", f"attempt to process more than {world.most} entities")
    shown = _Shown(world, rules)
    said = [
        [shown.value(path.type, value, query.include) for path, value in _columns(query, row)] for row in values
    ]
    return [row[0] for row in said] if len(query.selected) == 1 else said


def _columns(query: Query, row: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(query.selected, row, strict=True))


def _values(query: Query, binding: Binding) -> list[Any]:
    return [query.scope.value(path).get(binding) for path in query.selected]


def _readable(query: Query, binding: Binding, rules: Rules) -> bool:
    """ICAT asks its rules for the rows that are selected, and for no others that the query passes."""
    rows = [(path.entity, query.scope.row(binding, path.alias, path.steps)) for path in query.selected]
    return all(row is not None and row["id"] in rules.searched(entity) for entity, row in rows)


def _key(value: Any) -> Any:
    return ("row", value["id"]) if isinstance(value, dict) else value


def _aggregate(function: str, values: list[Any]) -> Any:
    there = [value for value in values if value is not None]
    if function == "COUNT":
        return len(there)
    return (min(there) if function == "MIN" else max(there)) if there else None


class _Shown:
    """Rows as JSON. One answer has at most `most` rows, those that are included counted."""

    def __init__(self, world: Icat, rules: Rules) -> None:
        self._world, self._rules, self._scope, self._count = world, rules, Scope(world, ""), 0

    def value(self, kind: str, value: Any, include: Include | None) -> Any:
        if isinstance(value, dict):
            return {kind: self._row(kind, value, include)}
        return self._plain(value)

    def _plain(self, value: Any) -> Any:
        if isinstance(value, datetime):
            return value.astimezone(self._world.zone).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return value

    def _row(self, entity: str, row: Row, include: Include | None) -> dict[str, Any]:
        self._count += 1
        if self._count > self._world.most:
            raise Refused("VALIDATION", f"attempt to return more than {self._world.most} entities")
        known = ENTITIES[entity]
        names = [*COMMON, *known.attributes]
        said = {name: self._plain(row[name]) for name in names if row.get(name) is not None}
        steps = {} if include is None else dict.fromkeys(known.one) if include.one else include.steps
        for relation, deeper in steps.items():
            there = self._included(entity, row, relation, deeper)
            if relation in known.many:
                said[relation] = there
            elif there:
                said[relation] = there[0]
        return said

    def _included(self, entity: str, row: Row, relation: str, deeper: Include | None) -> list[dict[str, Any]]:
        target = str(ENTITIES[entity].target(relation))
        rows = self._scope.step(entity, row, relation)
        if not self._rules.public_step(entity, relation):
            rows = [other for other in rows if other["id"] in self._rules.shown(target)]
        return [self._row(target, other, deeper) for other in rows]
