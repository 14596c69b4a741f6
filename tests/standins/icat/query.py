"""A query, parsed strictly and answered by trying every row.

SELECT [DISTINCT] path {, path} | COUNT|MIN|MAX([DISTINCT] path) FROM Entity [AS] alias {[LEFT|INNER] JOIN path [AS] alias}
[WHERE …] [ORDER BY path [ASC|DESC] {, …}] and then, in either order, [INCLUDE 1 | path [AS name] {, …}]
[LIMIT offset, number|*]. Groups, subqueries and several roots are answered NOT_IMPLEMENTED.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.standins.icat.conditions import NO_PATH, Conditions, Test
from tests.standins.icat.errors import bad, unknown
from tests.standins.icat.schema import ENTITIES
from tests.standins.icat.scope import Binding, Path, Scope
from tests.standins.icat.tokens import Words


@dataclass
class Include:
    """What comes with a row: each relation once, and what comes with its rows in turn. `one` stands for INCLUDE 1."""

    one: bool = False
    steps: dict[str, Include] = field(default_factory=dict)


@dataclass
class Query:
    """A parsed query. `joins` are (alias, path, relation, whether it is an outer one) in the order written."""

    scope: Scope
    root: str = ""
    distinct: bool = False
    aggregate: str = ""
    selected: list[Path] = field(default_factory=list)
    joins: list[tuple[str, Path, str, bool]] = field(default_factory=list)
    where: Test | None = None
    order: list[tuple[Path, bool]] = field(default_factory=list)
    include: Include | None = None
    limit: tuple[int, int | None] | None = None

    def bindings(self) -> Iterator[Binding]:
        """Every binding of the aliases that the query holds for, in its order; without one the last made come first."""
        rows = self.scope.world.rows[self.scope.kinds[self.root]]
        found = [binding for key in sorted(rows, reverse=True) for binding in self._joined({self.root: rows[key]})]
        found = [binding for binding in found if self.where is None or self.where(binding) is True]
        for path, descending in reversed(self.order):
            get = self.scope.value(path).get
            found.sort(key=lambda b: ((v := get(b)) is not None, v if v is not None else 0), reverse=descending)
        yield from found

    def _joined(self, first: Binding) -> Iterator[Binding]:
        bindings = [first]
        for alias, path, relation, outer in self.joins:
            wider = list[Binding]()
            for binding in bindings:
                row = self.scope.row(binding, path.alias, path.steps)
                others = [] if row is None else self.scope.step(path.entity, row, relation)
                wider += [{**binding, alias: other} for other in others] or (
                    [{**binding, alias: None}] if outer else []
                )
            bindings = wider
        yield from filter(self.scope.stands, bindings)


class _Reader:
    def __init__(self, scope: Scope, text: str) -> None:
        self._words, self._scope, self.query = Words(text), scope, Query(scope)
        self._selected = list[str]()

    def select(self) -> None:
        words, query = self._words, self.query
        words.take("SELECT")
        query.distinct = words.have("DISTINCT")
        for function in ("COUNT", "MIN", "MAX"):
            if words.have(function, "("):
                query.aggregate = function
                query.distinct = words.have("DISTINCT") or query.distinct
                self._selected.append(words.take("NAME").text)
                words.take(")")
        if not query.aggregate:
            self._selected.append(self._column())
            while words.have(","):
                self._selected.append(self._column())
        if words.peek().kind != "FROM":
            raise unknown(f"{words.peek().text or 'the end'} in SELECT")
        self._from()
        for text in self._selected:
            if text.partition(".")[0].upper() not in query.scope.kinds:
                raise bad(f"idVar '{text}' referenced in the SELECT clause is not defined in the FROM clause.")
            query.selected.append(self._scope.path(text, "{entity} has no field {name}"))

    def _column(self) -> str:
        if self._words.peek().kind in ("SUM", "AVG", "COUNT", "MIN", "MAX", "OBJECT"):
            raise unknown(f"{self._words.peek().text} there in SELECT")
        return self._words.take("NAME").text

    def _from(self) -> None:
        words, query = self._words, self.query
        words.take("FROM")
        entity = words.take("NAME").text
        if entity not in ENTITIES:
            raise bad(f"No information to determine type of {entity} in the FROM clause")
        query.root = self._alias(entity)
        while words.peek().kind in ("JOIN", "LEFT", "INNER"):
            outer = words.have("LEFT")
            words.have("OUTER") if outer else words.have("INNER")
            words.take("JOIN")
            if words.peek().kind == "FETCH":
                raise bad("The FETCH keyword is not permitted")
            self._join(words.take("NAME").text, outer)
        if words.peek().kind == ",":
            raise unknown("several roots in FROM")

    def _alias(self, entity: str) -> str:
        self._words.have("AS")
        said = self._words.take("NAME").text
        if "." in said:
            raise bad(f"{said} is no identification variable")
        if said in ENTITIES or said.upper() in self._scope.kinds:
            raise bad(f"JPQL indentification variable {said} has already been defined in the FROM clause")
        self._scope.kinds[said.upper()] = entity
        return said.upper()

    def _join(self, text: str, outer: bool) -> None:
        start, dot, relation = text.rpartition(".")
        if not dot or start.partition(".")[0].upper() not in self._scope.kinds:
            raise bad(f"idVar '{text.partition('.')[0].upper()}' referenced in the FROM clause is not defined.")
        path = self._scope.path(start, "{entity} has no relationship field {name}")
        target = None if path.attribute else ENTITIES[path.entity].target(relation)
        if target is None:
            raise bad(f"{path.entity} has no relationship field {relation}")
        self.query.joins.append((self._alias(target), path, relation, outer))

    def where(self) -> None:
        if self._words.have("WHERE"):
            self.query.where = Conditions(self._words, self._scope).any()

    def order(self) -> None:
        if self._words.peek().kind in ("GROUP", "HAVING"):
            raise unknown(self._words.peek().text)
        if not self._words.have("ORDER", "BY"):
            return
        if self.query.aggregate:
            raise unknown("the order of one number")
        while True:
            path = self._scope.path(self._words.take("NAME").text, NO_PATH)
            if path.attribute is None:
                raise unknown("the order of rows as such")
            if self.query.distinct and not any(_within(path, column) for column in self.query.selected):
                raise bad("ORDER BY item must be in SELECT list for SELECT DISTINCT")
            self.query.order.append((path, self._words.have("DESC")))
            if not self.query.order[-1][1]:
                self._words.have("ASC")
            if not self._words.have(","):
                return

    def tail(self) -> None:
        while self._words.peek().kind in ("INCLUDE", "LIMIT"):
            if self._words.peek().kind == "INCLUDE" and self.query.include is None:
                self._include()
            elif self._words.peek().kind == "LIMIT" and self.query.limit is None:
                self._limit()
            else:
                break
        self._words.done()

    def _limit(self) -> None:
        self._words.take("LIMIT")
        offset = int(self._words.take("INTEGER").text)
        self._words.take(",")
        number = self._words.take("INTEGER", "*")
        limit = None if number.kind == "*" else int(number.text)
        if offset < 0 or (limit or 0) < 0:
            raise bad("LIMIT with a negative number")
        self.query.limit = (offset, limit)

    def _include(self) -> None:
        self._words.take("INCLUDE")
        if len(self.query.selected) > 1 or self.query.aggregate:
            raise bad("INCLUDE is only valid for one quantity in the SELECT clause")
        path = self.query.selected[0]
        if path.attribute or path.steps:
            raise unknown("INCLUDE with anything but an alias selected")
        if self._words.peek().text == "1":
            self._words.take("INTEGER")
            self.query.include = Include(one=True)
            if self._words.peek().kind == ",":
                raise bad('"INCLUDE 1" must not be followed by other things to include.')
            return
        self.query.include = Include()
        known = {path.alias: (path.entity, self.query.include)}
        self._included(known)
        while self._words.have(","):
            self._included(known)

    def _included(self, known: dict[str, tuple[str, Include]]) -> None:
        path = self._words.take("NAME").text
        start, *relations = path.split(".")
        if not relations:
            raise bad(f"Path {path} must contain a '.'")
        if start.upper() not in known:
            raise bad(f"variable {start.upper()} mentioned in INCLUDE clause is not defined")
        entity, at = known[start.upper()]
        for relation in relations:
            target = ENTITIES[entity].target(relation)
            if target is None:
                raise bad(f"Problem with INCLUDE clause: {relation} is not a field of {entity}")
            if relation in at.steps:
                raise bad(f"INCLUDE clause contains redundant path to {relation}")
            entity, at = target, at.steps.setdefault(relation, Include())
        if self._words.have("AS") or self._words.peek().kind == "NAME":
            name = self._words.take("NAME").text.upper()
            if "." in name or name in known:
                raise bad(f"variable {name} mentioned in INCLUDE clause is already defined")
            known[name] = (entity, at)


def _within(path: Path, column: Path) -> bool:
    whole = column.attribute is None and column.steps == path.steps
    return path.alias == column.alias and (whole or path == column)


def parse(scope: Scope, text: str) -> Query:
    """The query of this text. Raises Refused."""
    reader = _Reader(scope, text)
    reader.select()
    reader.where()
    reader.order()
    reader.tail()
    return reader.query


def parse_rule(scope: Scope, text: str) -> Query:
    """The query that a rule is: one alias selected, nothing behind WHERE. Raises Refused."""
    query = parse(scope, text)
    plain = not (query.order or query.include or query.limit or query.aggregate) and len(query.selected) == 1
    if not plain or query.selected[0].attribute or query.selected[0].steps:
        raise bad(f"no rule: {text}")
    return query
