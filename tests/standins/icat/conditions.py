"""WHERE: conditions with JPQL's three truths (true, false, and None for unknown)."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.standins.icat.errors import Refused, bad, unknown
from tests.standins.icat.schema import ENTITIES
from tests.standins.icat.scope import Binding, Scope, Value
from tests.standins.icat.tokens import Words

Test = Callable[[Binding], bool | None]
NO_PATH = "The state field path '{path}' cannot be resolved to a valid type."
SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "<>": operator.ne, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le,
    ">=": operator.ge,
}  # fmt: skip
NUMBERS = {"Long", "Integer", "Double"}


class Conditions:
    """Reads conditions from the words of a query."""

    def __init__(self, words: Words, scope: Scope) -> None:
        self._words, self._scope = words, scope

    def any(self) -> Test:
        """Conditions with OR between them. Raises Refused."""
        tests = [self._all()]
        while self._words.have("OR"):
            tests.append(self._all())

        def either(binding: Binding) -> bool | None:
            said = [test(binding) for test in tests]
            return True if True in said else None if None in said else False

        return either

    def _all(self) -> Test:
        tests = [self._one()]
        while self._words.have("AND"):
            tests.append(self._one())

        def every(binding: Binding) -> bool | None:
            said = [test(binding) for test in tests]
            return False if False in said else None if None in said else True

        return every

    def _one(self) -> Test:
        if self._words.have("NOT"):
            return _not(self._one())
        if self._words.peek().kind == "(" and self._words.peek(1).kind != "SELECT":
            self._words.take("(")
            inside = self.any()
            self._words.take(")")
            return inside
        return self._compared()

    def _compared(self) -> Test:
        many = self._collection()
        if many is not None:
            return many
        left = self.value()
        if self._words.have("IS"):
            wanted = not self._words.have("NOT")
            self._words.take("NULL")
            return lambda binding: (left.get(binding) is None) is wanted
        if self._words.have("NOT"):
            return _not(self._ranged(left, self._words.take("IN", "COMPOP", "BETWEEN").text))
        return self._ranged(left, self._words.take("IN", "COMPOP", "BETWEEN").text)

    def _ranged(self, left: Value, sign: str) -> Test:
        if sign == "IN":
            return self._among(left)
        if sign == "LIKE":
            return self._like(left)
        if sign == "BETWEEN":
            low = _pair(operator.ge, left, self.value())
            self._words.take("AND")
            high = _pair(operator.le, left, self.value())
            return lambda binding: None if None in (a := [low(binding), high(binding)]) else all(a)
        return _pair(SIGNS[sign], left, self.value())

    def _collection(self) -> Test | None:
        """path IS [NOT] EMPTY, the one thing that can be said of a relation to many."""
        start, _, relation = self._words.peek().text.rpartition(".")
        following = [self._words.peek(ahead).kind for ahead in (1, 2, 3)]
        if self._words.peek().kind != "NAME" or "EMPTY" not in following[1:]:
            return None
        self._words.take("NAME")
        path = self._scope.path(start, NO_PATH)
        if path.attribute is not None or relation not in ENTITIES[path.entity].many:
            raise bad(NO_PATH.format(path=f"{start}.{relation}"))
        self._words.take("IS")
        wanted = not self._words.have("NOT")
        self._words.take("EMPTY")
        owner = self._scope.value(path)

        def test(binding: Binding) -> bool | None:
            row = owner.get(binding)
            return None if row is None else (not self._scope.step(path.entity, row, relation)) is wanted

        return test

    def _among(self, left: Value) -> Test:
        self._words.take("(")
        if self._words.peek().kind == "SELECT":
            raise unknown("a query within a query")
        tests = [_pair(operator.eq, left, self.value())]
        while self._words.have(","):
            tests.append(_pair(operator.eq, left, self.value()))
        self._words.take(")")

        def test(binding: Binding) -> bool | None:
            said = [each(binding) for each in tests]
            return True if True in said else None if None in said else False

        return test

    def _like(self, left: Value) -> Test:
        pattern = self.value()
        if left.type != "String" or pattern.type != "String" or not pattern.literal:
            raise unknown("a LIKE that is not an attribute's text against a literal")
        text, escape = str(pattern.get({})), ""
        if self._words.have("ESCAPE"):
            escape = self._words.take("STRING").text
            if len(escape) != 1:
                raise bad("the escape must be one character")
        elif "\\" in text:
            raise unknown("a backslash in LIKE without ESCAPE, which each database takes differently")
        meant = re.compile(_pattern(text, escape), re.DOTALL)
        return lambda binding: None if (v := left.get(binding)) is None else meant.fullmatch(v) is not None

    def value(self) -> Value:
        """A literal, a path, :user, CURRENT_TIMESTAMP, LOWER(…) or UPPER(…). Raises Refused."""
        token = self._words.take()
        if token.kind in ("LOWER", "UPPER"):
            return self._cased(token.kind)
        value = self._constant(token.kind, token.text)
        if value is None and token.kind == "NAME":
            value = self._scope.value(self._scope.path(token.text, NO_PATH))
        if value is None:
            raise bad(f"The query contains a malformed expression at {token.text}")
        if self._words.peek().kind in ("+", "-", "*", "/"):
            raise unknown("arithmetic")
        return value

    def _cased(self, function: str) -> Value:
        self._words.take("(")
        inner = self.value()
        self._words.take(")")
        if inner.type != "String":
            raise unknown(f"{function} of what is no text")
        cased = str.lower if function == "LOWER" else str.upper
        return Value("String", lambda b: None if (v := inner.get(b)) is None else cased(v), inner.literal)

    def _constant(self, kind: str, text: str) -> Value | None:
        if kind == "STRING":
            return Value("String", lambda _: text, literal=True)
        if kind in ("INTEGER", "REAL"):
            number = int(text) if kind == "INTEGER" else float(text)
            return Value("Long" if kind == "INTEGER" else "Double", lambda _: number, literal=True)
        if kind in ("TRUE", "FALSE"):
            return Value("Boolean", lambda _: kind == "TRUE", literal=True)
        if kind == "TIMESTAMP":
            try:
                moment = datetime.fromisoformat(text).replace(tzinfo=self._scope.world.zone).astimezone(UTC)
            except ValueError:
                raise bad(f"Timestamp {text} is none") from None
            return Value("Date", lambda _: moment, literal=True)
        if kind == "CURRENT_TIMESTAMP":
            return Value("Date", lambda _: self._scope.world.clock())
        if kind == "PARAMETER":
            if text != ":user":
                raise Refused(
                    "INTERNAL", f"Query argument {text[1:]} not found in the list of parameters provided"
                )
            return Value("String", lambda _: self._scope.user)
        return None


def _pattern(text: str, escape: str) -> str:
    said, escaped = "", False
    for letter in text:
        if not escaped and letter == escape:
            escaped = True
            continue
        said += {"%": ".*", "_": "."}.get(letter, re.escape(letter)) if not escaped else re.escape(letter)
        escaped = False
    if escaped:
        raise bad("the pattern ends in its escape")
    return said


def _not(test: Test) -> Test:
    return lambda binding: None if (said := test(binding)) is None else not said


def _pair(sign: Callable[[Any, Any], bool], left: Value, right: Value) -> Test:
    alike = left.type == right.type or {left.type, right.type} <= NUMBERS
    if not alike or (left.type in ENTITIES and sign not in (operator.eq, operator.ne)):
        raise unknown(f"how a database compares {left.type} with {right.type}")

    def test(binding: Binding) -> bool | None:
        a, b = left.get(binding), right.get(binding)
        return None if a is None or b is None else sign(a, b)

    return test
