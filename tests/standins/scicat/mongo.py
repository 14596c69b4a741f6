"""As much of MongoDB's matching, sorting and projecting as SciCat's callers use. Unknown operators are errors."""

from __future__ import annotations

import operator
import re
from datetime import datetime
from typing import Any

Document = dict[str, Any]
COMPARISONS = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}
MISSING: Any = type("Missing", (), {"__repr__": lambda _: "missing"})()


class MongoError(Exception):
    """MongoDB refuses the query."""


def matches(document: Document, where: Any) -> bool:
    """Whether a document answers a query. Raises MongoError, whatever the document."""
    if not isinstance(where, dict):
        raise MongoError("the match filter must be an expression in an object")
    held = [
        _clause(document, key, condition) for key, condition in where.items()
    ]  # each is judged, as MongoDB does
    return all(held)


def _clause(document: Document, key: str, condition: Any) -> bool:
    if key in ("$and", "$or", "$nor"):
        if not isinstance(condition, list) or not condition:
            raise MongoError(f"{key} argument must be a non-empty array")
        parts = [matches(document, part) for part in condition]
        return {"$and": all(parts), "$or": any(parts), "$nor": not any(parts)}[key]
    if key.startswith("$"):
        raise MongoError(f"unknown top level operator: {key}")
    values = reach(document, key.split("."))
    if isinstance(condition, dict) and any(name.startswith("$") for name in condition):
        return _conditions(values, condition)
    return _equal(values, condition)


def reach(value: Any, parts: list[str]) -> list[Any]:
    """What a dotted path finds: through arrays to each of their elements; [MISSING] for nothing."""
    if not parts:
        return [value]
    if isinstance(value, list):
        found = [each for item in value if isinstance(item, dict) for each in reach(item, parts)]
        if parts[0].isdigit() and int(parts[0]) < len(value):
            found += reach(value[int(parts[0])], parts[1:])
        return found or [MISSING]
    if isinstance(value, dict) and parts[0] in value:
        return reach(value[parts[0]], parts[1:])
    return [MISSING]


def _each(values: list[Any]) -> list[Any]:
    return [*values, *(item for value in values if isinstance(value, list) for item in value)]


def _equal(values: list[Any], wanted: Any) -> bool:
    if wanted is None:
        return any(value is MISSING or value is None for value in _each(values))
    return any(_same(value, wanted) for value in _each(values))


def _same(value: Any, wanted: Any) -> bool:
    return rank(value) == rank(wanted) and bool(value == wanted)


def _conditions(values: list[Any], conditions: dict[str, Any]) -> bool:
    if "$options" in conditions and "$regex" not in conditions:
        raise MongoError("$options needs a $regex")
    options = conditions.get("$options", "")
    held = [_condition(values, name, wanted, options) for name, wanted in conditions.items()]
    return all(held)


def _condition(values: list[Any], name: str, wanted: Any, options: Any) -> bool:
    if name in ("$in", "$nin"):
        if not isinstance(wanted, list):
            raise MongoError(f"{name} needs an array")
        if any(isinstance(item, dict) and any(k.startswith("$") for k in item) for item in wanted):
            raise MongoError(f"cannot nest $ under {name}")
        return any(_equal(values, item) for item in wanted) is (name == "$in")
    if name in ("$eq", "$ne"):
        return _equal(values, wanted) is (name == "$eq")
    if name in COMPARISONS:
        return any(_compares(value, name, wanted) for value in _each(values))
    if name == "$exists":
        return (values != [MISSING]) is bool(wanted)
    if name == "$regex":
        pattern = _pattern(wanted, options)
        return any(isinstance(value, str) and bool(pattern.search(value)) for value in _each(values))
    if name == "$not" and isinstance(wanted, dict):
        return not _conditions(values, wanted)
    if name != "$options":
        raise MongoError(f"unknown operator: {name}")
    return True


def _pattern(text: Any, options: Any) -> re.Pattern[str]:
    if not isinstance(text, str) or not isinstance(options, str) or set(options) - set("imsx"):
        raise MongoError("invalid flag in regex options")
    flags = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE}
    if "\0" in text:
        raise MongoError("Regular expression cannot contain an embedded null byte")
    try:
        return re.compile(text, sum(flags[option] for option in set(options)))
    except re.error as error:
        raise MongoError(f"Regular expression is invalid: {error}") from error


def _compares(value: Any, name: str, wanted: Any) -> bool:
    if value is MISSING or rank(value) != rank(wanted) or isinstance(value, dict | list) or value is None:
        return False
    return bool(COMPARISONS[name](value, wanted))


def rank(value: Any) -> int:
    """MongoDB's order of types; nothing is compared across them."""
    if value is MISSING or value is None:
        return 0
    if isinstance(value, bool):
        return 5
    kinds: tuple[tuple[type, int], ...] = ((int, 1), (float, 1), (str, 2), (dict, 3), (list, 4), (datetime, 6))
    return next(number for kind, number in kinds if isinstance(value, kind))


def ordered(documents: list[Document], by: dict[str, Any]) -> list[Document]:
    """Sorted as the aggregation's `$sort` after SciCat's translation: all but "asc" is descending."""
    result = list(documents)
    for key, direction in reversed(by.items()):
        result.sort(key=lambda d: _place(reach(d, key.split("."))[0]), reverse=direction != "asc")
    return result


def _place(value: Any) -> tuple[int, Any]:
    number = rank(value)
    if number == 0:
        return (0, 0)
    if number in (3, 4):
        raise MongoError("the stand-in does not sort by objects or arrays")
    return (number, value)


def projected(document: Document, fields: list[str]) -> Document:
    """The named top-level fields, and `_id`."""
    tops = {field.split(".")[0] for field in fields}
    if any("." in field for field in fields):
        raise MongoError("the stand-in does not project inner fields")
    return {key: value for key, value in document.items() if key in tops or key == "_id"}


def selected(documents: list[Document], where: Any) -> list[Document]:
    """Documents that answer a query; a query that MongoDB refuses is refused though there be no document."""
    matches({}, where)
    return [document for document in documents if matches(document, where)]


def selected_cast(documents: list[Document], where: Any) -> list[Document]:
    """The same through Mongoose's `find`, which first makes dates of what is compared with a date."""
    return selected(
        documents, _cast(where, {key for d in documents for key, v in d.items() if isinstance(v, datetime)})
    )


def _cast(where: Any, dates: set[str], within: bool = False) -> Any:
    if isinstance(where, dict):
        return {key: _cast(value, dates, within or key in dates) for key, value in where.items()}
    if isinstance(where, list):
        return [_cast(item, dates, within) for item in where]
    if within and isinstance(where, str):
        try:
            return datetime.fromisoformat(where)
        except ValueError:
            raise MongoError("Cast to date failed") from None
    return where
