"""A LoopBack 3 filter as a small checked tree: `where`, `include` with scopes, `limit`, `skip`, `order`.

Strict where LoopBack is lenient: an unknown key, property, operator, relation or type is refused with one
sentence, since a filter that is half understood answers another question. Pure: no I/O.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from central_portal.panosc.models import MODELS, Kind, Model, Relation
from shared.errors import InvalidRequest

FILTER_BYTES = 16 * 1024
DEPTH = 8
CONDITIONS = 200
INCLUDES = 30
LISTED = 200
TEXT = 500
PAGE = 1000
DEFAULT_LIMIT = 100
SKIP = 1_000_000
_BINARY = ("lt", "lte", "gt", "gte", "neq", "eq")
_LISTS = ("inq", "nin", "between")
_PATTERNS = ("like", "nlike", "ilike", "nilike")


@dataclass(frozen=True, slots=True)
class Test:
    """One property against one value: `eq neq lt lte gt gte inq nin between like nlike ilike nilike`."""

    property: str
    kind: Kind
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; in one of these a unit belongs to its value."""

    parts: tuple[Where, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """One part holds."""

    parts: tuple[Where, ...]


Where = Test | All | Some


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of one model. `limit` is at least 1."""

    model: Model
    where: Where | None = None
    include: tuple[Include, ...] = ()
    limit: int = DEFAULT_LIMIT
    skip: int = 0
    order: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True, slots=True)
class Include:
    """Related objects and the question they must answer; `joins` when parents without any are left out."""

    relation: Relation
    scope: Query
    joins: bool


def parse(model: Model, text: str) -> Query:
    """The filter in JSON, empty for none. Raises InvalidRequest with what is wrong."""
    if not text:
        return Query(model)
    return _Parser().query(model, _json(text, "filter"), 0)


def parse_where(model: Model, text: str) -> Where | None:
    """The `where` of a count in JSON, empty for none. Raises InvalidRequest."""
    return _Parser().where(model, _json(text, "where"), 0) if text else None


def _json(text: str, name: str) -> Any:
    if len(text.encode()) > FILTER_BYTES:
        raise InvalidRequest(f"The {name} is larger than {FILTER_BYTES} bytes.")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise InvalidRequest(f"The {name} is no JSON.") from None


class _Parser:
    """Counts what one filter asks for, over all its levels."""

    def __init__(self) -> None:
        self._conditions = self._includes = 0

    def query(self, model: Model, given: Any, depth: int) -> Query:
        filter_ = _object(given, "A filter", {"where", "include", "limit", "skip", "offset", "order", "query"})
        query = filter_.get("query", "")
        if not isinstance(query, str):
            raise InvalidRequest("A filter's query is text.")
        skip = filter_.get("skip", filter_.get("offset", 0))
        limit = _whole(filter_.get("limit", PAGE if depth else DEFAULT_LIMIT), "limit", PAGE)
        return Query(
            model,
            self.where(model, filter_["where"], depth) if "where" in filter_ else None,
            self._include(model, filter_.get("include", []), depth),
            limit or PAGE,
            _whole(skip, "skip", SKIP),
            _order(model, filter_.get("order", [])),
        )

    def _include(self, model: Model, given: Any, depth: int) -> tuple[Include, ...]:
        entries = given if isinstance(given, list) else [given]
        found = []
        for entry in entries:
            self._includes += 1
            if depth >= DEPTH or self._includes > INCLUDES:
                raise InvalidRequest(f"A filter includes at most {INCLUDES} relations, {DEPTH} deep.")
            named = {"relation": entry} if isinstance(entry, str) else entry
            asked = _object(named, "An include", {"relation", "scope"})
            name = asked.get("relation")
            relation = model.relations.get(name) if isinstance(name, str) else None
            if relation is None:
                raise InvalidRequest(f"A {model.name} has the relations {', '.join(model.relations)}.")
            scope = asked.get("scope", {})
            query = self.query(MODELS[relation.target], scope, depth + 1)
            found.append(Include(relation, query, joins=bool(scope.get("where") or scope.get("include"))))
        return tuple(found)

    def where(self, model: Model, given: Any, depth: int) -> Where | None:
        if not isinstance(given, dict):
            raise InvalidRequest("A where is a JSON object.")
        if depth > DEPTH:
            raise InvalidRequest(f"A where is at most {DEPTH} deep.")
        parts: list[Where] = []
        for name, value in given.items():
            self._conditions += 1
            if self._conditions > CONDITIONS:
                raise InvalidRequest(f"A filter has at most {CONDITIONS} conditions.")
            if name in ("and", "or"):
                parts += self._combined(model, name, value, depth)
            elif name == "text":
                parts.append(_text(model, value))
            else:
                parts += _tests(model, name, value)
        return parts[0] if len(parts) == 1 else All(tuple(parts)) if parts else None

    def _combined(self, model: Model, name: str, value: Any, depth: int) -> list[Where]:
        if not isinstance(value, list) or not value or len(value) > LISTED:
            raise InvalidRequest(f"{name} takes a list of 1 to {LISTED} conditions.")
        below = [self.where(model, each, depth + 1) for each in value]
        known = tuple(part for part in below if part is not None)
        if name == "and":
            return [All(known)] if known else []
        return [Some(known)] if len(known) == len(below) else []  # {} holds always


def _object(given: Any, what: str, keys: set[str]) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise InvalidRequest(f"{what} is a JSON object.")
    if unknown := sorted(set(given) - keys):
        raise InvalidRequest(f"{what} has no {unknown[0][:40]!r}, only {', '.join(sorted(keys))}.")
    return given


def _whole(given: Any, name: str, largest: int) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= largest:
        raise InvalidRequest(f"A {name} is a whole number from 0 to {largest}.")
    return given


def _order(model: Model, given: Any) -> tuple[tuple[str, bool], ...]:
    entries = given if isinstance(given, list) else [given]
    found = []
    for entry in entries[:LISTED]:
        words = entry.split() if isinstance(entry, str) else []
        sortable = len(words) in (1, 2) and model.properties.get(words[0]) in ("text", "number", "date", "flag")
        if not sortable or words[1:] not in ([], ["ASC"], ["DESC"], ["asc"], ["desc"]):
            raise InvalidRequest("An order is a property and ASC or DESC.")
        found.append((words[0], words[-1].upper() == "DESC"))
    return tuple(found)


def _text(model: Model, value: Any) -> Where:
    if not model.texts:
        raise InvalidRequest(f"A {model.name} has no text to search.")
    if not isinstance(value, str) or not 1 <= len(value) <= TEXT:
        raise InvalidRequest(f"A text has 1 to {TEXT} characters.")
    return Some(tuple(Test(name, "text", "has", value) for name in model.texts))


def _tests(model: Model, name: str, value: Any) -> list[Where]:
    if name not in model.properties:
        raise InvalidRequest(f"A {model.name} has the properties {', '.join(model.properties)}.")
    kind = model.properties[name]
    if not isinstance(value, dict):
        return [Test(name, kind, "eq", _value(name, kind, value))]
    if not value:
        raise InvalidRequest(f"{name} is compared with nothing.")
    return [_test(name, kind, operator, given) for operator, given in value.items()]


def _test(name: str, kind: Kind, operator: str, given: Any) -> Test:
    if operator in _LISTS:
        if not isinstance(given, list) or len(given) > LISTED or (operator == "between" and len(given) != 2):
            raise InvalidRequest(f"{operator} takes a list of {'2' if operator == 'between' else LISTED} values.")
        return Test(name, kind, operator, tuple(_value(name, kind, each) for each in given))
    if operator in _PATTERNS:
        if not isinstance(given, str) or len(given) > TEXT or kind not in ("text", "texts", "any"):
            raise InvalidRequest(f"{operator} compares text of at most {TEXT} characters.")
        return Test(name, kind, operator, given)
    if operator in _BINARY:
        return Test(name, kind, operator, _value(name, kind, given))
    raise InvalidRequest(f"The operators are {', '.join((*_BINARY, *_LISTS, *_PATTERNS))}.")


def date(text: str) -> datetime:
    """An ISO 8601 date or time; without a zone it is UTC. Raises ValueError."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _date(given: Any) -> datetime:
    if not isinstance(given, str) or len(given) > 40:
        raise ValueError
    return date(given)


def _number(given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise ValueError
    return given


def _string(given: Any) -> str:
    if not isinstance(given, str) or len(given) > TEXT:
        raise ValueError
    return given


def _flag(given: Any) -> bool:
    if not isinstance(given, bool):
        raise ValueError  # noqa: TRY004 - told apart by the caller alone
    return given


def _any(given: Any) -> str | float:
    return _string(given) if isinstance(given, str) else _number(given)


_READ: Mapping[Kind, tuple[Callable[[Any], Any], str]] = {
    "text": (_string, f"text of at most {TEXT} characters"),
    "texts": (_string, f"text of at most {TEXT} characters"),
    "number": (_number, "a number"),
    "date": (_date, "a date or time in ISO 8601"),
    "flag": (_flag, "true or false"),
    "any": (_any, "a number or text"),
}


def _value(name: str, kind: Kind, given: Any) -> Any:
    if given is None:
        return None
    read, what = _READ[kind]
    try:
        return read(given)
    except (ValueError, OverflowError):
        raise InvalidRequest(f"{name} is compared with {what}.") from None
