"""The part of ICAT's query language that is met: parsed strictly, answered by trying every row.

SELECT [DISTINCT] (alias | alias.path | COUNT(alias)) FROM Entity alias {JOIN alias.relation AS alias} [WHERE …]
[ORDER BY …] [INCLUDE alias.path, …] [LIMIT offset, count]. What is malformed or unknown is a `Refused`, as from icat.server.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.standins.icat.schema import ATTRIBUTES, COMMON, MANY, ONE
from tests.standins.icat.world import Icat, Row

TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<ts>\{ts [^}]*\})|(?P<number>\d+(?:\.\d+)?)|(?P<param>:\w+)"
    r"|(?P<word>[A-Za-z_]\w*(?:\.\w+)*)|(?P<sign><=|>=|<>|[=<>(),]))"
)
SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "<>": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip
Binding = dict[str, Row]
Test = Callable[[Binding], bool | None]
Value = Callable[[Binding], Any]


class Refused(Exception):
    """An answer that is no answer: ICAT's code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def bad(message: str) -> Refused:
    """A query that is none."""
    return Refused("BAD_PARAMETER", message)


@dataclass
class Query:
    """A parsed query. `kinds` are the aliases' entities, `joins` (alias, from, relation, outer) in order."""

    root: str = ""
    distinct: bool = False
    count: bool = False
    selected: str = ""
    kinds: dict[str, str] = field(default_factory=dict)
    joins: list[tuple[str, str, str, bool]] = field(default_factory=list)
    where: Test | None = None
    order: list[tuple[Value, bool]] = field(default_factory=list)
    includes: list[list[str]] = field(default_factory=list)
    limit: tuple[int, int | None] = (0, None)


def step(world: Icat, entity: str, row: Row, relation: str) -> list[Row]:
    """The rows that a relation of this row leads to."""
    if relation in ONE.get(entity, {}):
        target = row.get(relation)
        return [] if target is None else [world.rows[ONE[entity][relation]][target]]
    child, back = MANY[entity][relation]
    return [other for other in world.rows[child].values() if other.get(back) == row["id"]]


def kind(entity: str, relation: str) -> str:
    """The entity that a relation leads to. Raises Refused for an unknown one."""
    if relation in ONE.get(entity, {}):
        return ONE[entity][relation]
    if relation in MANY.get(entity, {}):
        return MANY[entity][relation][0]
    raise bad(f"The state field path '{entity}.{relation}' cannot be resolved to a valid type.")


class Parser:
    """One query's text, read from left to right."""

    def __init__(self, world: Icat, text: str, user: str | None = None) -> None:
        self._world, self._user, self._tokens, self._at = world, user, list[tuple[str, str]](), 0
        place = 0
        while text[place:].strip():
            found = TOKEN.match(text, place)
            if found is None:
                raise bad(f"Unable to parse at {text[place : place + 10]!r}")
            self._tokens.append((found.lastgroup or "", found.group().strip()))
            place = found.end()
        self.query = Query()

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def _is(self, *words: str) -> bool:
        here = [token[1].upper() for token in self._tokens[self._at : self._at + len(words)]]
        if here != list(words):
            return False
        self._at += len(words)
        return True

    def _must(self, word: str) -> None:
        if not self._is(word):
            raise bad(f"Expected {word} at {self._peek()[1]!r}")

    def _name(self) -> str:
        group, word = self._next()
        if group != "word":
            raise bad(f"Expected a name at {word!r}")
        return word

    def parse(self) -> Query:
        """The whole text. Raises Refused (BAD_PARAMETER)."""
        query = self.query
        self._must("SELECT")
        query.distinct = self._is("DISTINCT")
        if self._is("COUNT", "("):
            query.count = True
            query.distinct |= self._is("DISTINCT")
            query.selected = self._name()
            self._must(")")
        else:
            query.selected = self._name()
        self._from()
        if self._is("WHERE"):
            query.where = self._any()
        if self._is("ORDER", "BY"):
            query.order.append(self._ordering())
            while self._is(","):
                query.order.append(self._ordering())
        if self._is("INCLUDE"):
            self._include()
            while self._is(","):
                self._include()
        if self._is("LIMIT"):
            first = self._whole()
            self._must(",")
            query.limit = (first, self._whole())
        if self._peek()[0] != "end":
            raise bad(f"Unexpected {self._peek()[1]!r}")
        self._path(query.selected, whole=True)
        return query

    def _from(self) -> None:
        query = self.query
        self._must("FROM")
        entity = self._name()
        if entity not in ATTRIBUTES:
            raise bad(f"EntityName {entity} not recognized")
        self._is("AS")
        query.root = self._name()
        query.kinds[query.root] = entity
        while (left := self._is("LEFT", "JOIN")) or self._is("JOIN"):
            start, _, relation = self._name().partition(".")
            if start not in query.kinds or "." in relation:
                raise bad(f"'{start}.{relation}' is no relation of an alias")
            self._is("AS")
            alias = self._name()
            query.kinds[alias] = kind(query.kinds[start], relation)
            query.joins.append((alias, start, relation, left))

    def _whole(self) -> int:
        group, text = self._next()
        if group != "number" or "." in text:
            raise bad(f"Expected a number at {text!r}")
        return int(text)

    def _include(self) -> None:
        start, *relations = self._name().split(".")
        if start != self.query.root or not relations or self.query.selected != self.query.root:
            raise bad("INCLUDE is for the one selected entity")
        entity = self.query.kinds[start]
        for relation in relations:
            entity = kind(entity, relation)
        self.query.includes.append(relations)

    def _ordering(self) -> tuple[Value, bool]:
        value = self._value()
        if self._is("DESC"):
            return value, True
        self._is("ASC")
        return value, False

    def _any(self) -> Test:
        tests = [self._all()]
        while self._is("OR"):
            tests.append(self._all())

        def either(binding: Binding) -> bool | None:
            said = [test(binding) for test in tests]
            return True if True in said else None if None in said else False

        return either

    def _all(self) -> Test:
        tests = [self._one()]
        while self._is("AND"):
            tests.append(self._one())

        def both(binding: Binding) -> bool | None:
            said = [test(binding) for test in tests]
            return False if False in said else None if None in said else True

        return both

    def _one(self) -> Test:
        if self._is("NOT"):
            inner = self._one()
            return lambda binding: None if (said := inner(binding)) is None else not said
        if self._is("("):
            inside = self._any()
            self._must(")")
            return inside
        left = self._value()
        if self._is("IS", "NOT", "NULL"):
            return lambda binding: left(binding) is not None
        if self._is("IS", "NULL"):
            return lambda binding: left(binding) is None
        if self._is("IN"):
            return self._among(left)
        if self._is("LIKE"):
            return self._like(left)
        group, sign = self._next()
        if group != "sign" or sign not in SIGNS:
            raise bad(f"Expected a comparison at {sign!r}")
        return _compared(SIGNS[sign], left, self._value())

    def _among(self, left: Value) -> Test:
        self._must("(")
        values = [self._value()]
        while self._is(","):
            values.append(self._value())
        self._must(")")
        return lambda binding: None if (v := left(binding)) is None else v in [each(binding) for each in values]

    def _like(self, left: Value) -> Test:
        pattern = self._value()({})
        if not self._is("ESCAPE") or self._value()({}) != "!":
            raise bad("this stand-in wants LIKE … ESCAPE '!'")
        parts = re.findall(r"![!%_]|[^!]", pattern, re.DOTALL)
        if "".join(parts) != pattern:
            raise bad("a dangling escape")
        wild = {"%": ".*", "_": "."}
        meant = re.compile("".join(wild.get(p) or re.escape(p[-1]) for p in parts), re.DOTALL)
        return lambda binding: None if (v := left(binding)) is None else meant.fullmatch(v) is not None

    def _value(self) -> Value:
        group, text = self._next()
        if group == "text":
            return lambda _: text[1:-1].replace("''", "'")
        if group == "number":
            return lambda _: float(text) if "." in text else int(text)
        if group == "param" and text == ":user" and self._user is not None:
            return lambda _: self._user
        if group == "ts":
            try:
                moment = datetime.strptime(text[4:-1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
            except ValueError:
                raise bad(f"{text} is no timestamp") from None
            return lambda _: moment
        if group == "word" and text.upper() == "CURRENT_TIMESTAMP":
            return lambda _: self._world.now
        if group == "word" and text.upper() == "LOWER":
            self._must("(")
            inner = self._value()
            self._must(")")
            return lambda binding: v.lower() if isinstance(v := inner(binding), str) else v
        if group != "word":
            raise bad(f"Unexpected {text!r}")
        return self._path(text)

    def _path(self, text: str, whole: bool = False) -> Value:
        alias, *names = text.split(".")
        entity = self.query.kinds.get(alias)
        if entity is None or (not names and not whole):
            raise bad(f"The identification variable '{text}' is not defined in the FROM clause.")
        steps = list[tuple[str, str]]()
        for name in names[:-1]:
            if name not in ONE.get(entity, {}):
                raise bad(f"The state field path '{text}' cannot be resolved to a valid type.")
            steps.append((entity, name))
            entity = ONE[entity][name]
        if names and names[-1] not in ATTRIBUTES[entity] | COMMON:
            raise bad(f"The state field path '{text}' cannot be resolved to a valid type.")

        def value(binding: Binding) -> Any:
            row: Row | None = binding[alias]
            for entity, name in steps:
                row = next(iter(step(self._world, entity, row, name)), None) if row is not None else None
            return row.get(names[-1]) if row is not None and names else row

        return value

    def _step(self, entity: str, row: Row, relation: str) -> list[Row]:
        """From the nothing of a LEFT JOIN there is nothing to go to."""
        return step(self._world, entity, row, relation) if row else []

    def answer(self) -> Iterator[Binding]:
        """Every binding of the aliases that the WHERE holds for, in the order asked for."""
        query = self.query
        found = list[Binding]()
        for row in self._world.rows[query.kinds[query.root]].values():
            bindings: list[Binding] = [{query.root: row}]
            for alias, start, relation, left in query.joins:
                bindings = [
                    {**binding, alias: other}
                    for binding in bindings
                    for other in self._step(query.kinds[start], binding[start], relation) or [{}] * left
                ]
            found += [binding for binding in bindings if query.where is None or query.where(binding) is True]
        for value, descending in reversed(query.order):
            found.sort(key=lambda b: ((v := value(b)) is not None, v if v is not None else 0), reverse=descending)
        yield from found


def _compared(sign: Callable[[Any, Any], bool], left: Value, right: Value) -> Test:
    def test(binding: Binding) -> bool | None:
        a, b = left(binding), right(binding)
        if a is None or b is None:
            return None
        try:
            return sign(a, b)
        except TypeError:
            raise bad("values that cannot be compared") from None

    return test
