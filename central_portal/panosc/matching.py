"""Does one object answer a `where`? Pure; linear in the object's text and the filter's size.

Techniques match with everything narrower, in any spelling. A parameter's value is compared in the unit that
was asked for, and shown in it. Text without a value is only equal to null; orders of unlike types are false.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any

from central_portal.panosc.filters import All, Some, Test, Where, date
from central_portal.panosc.models import Kind, Model, Row
from central_portal.panosc.units import converted
from shared import techniques
from shared.errors import InvalidRequest

_OPPOSITE = {"neq": "eq", "nin": "inq", "nlike": "like", "nilike": "ilike"}
_TECHNIQUE_IDS = ("pid", "panetId")


def weight(where: Where | None) -> int:
    """How many tests it takes at most, for bounding."""
    if where is None or isinstance(where, Test):
        return 1 + (len(where.value) if where and isinstance(where.value, tuple) else 0)
    return sum(weight(part) for part in where.parts)


def match(model: Model, where: Where | None, row: Row) -> Row | None:
    """The object as it is shown when it matches, else None. Only a parameter may be shown otherwise than stored."""
    if where is None:
        return row
    if isinstance(where, Some):
        return next((found for part in where.parts if (found := match(model, part, row)) is not None), None)
    parts = tuple(_flat(where))
    shown = _in_asked_unit(parts, row) if model.name == "Parameter" else row
    for part in parts:
        if isinstance(part, Some):
            if match(model, part, shown) is None:
                return None
        elif not _holds(model, part, shown):
            return None
    return shown


def _flat(where: Where) -> Iterable[Test | Some]:
    if isinstance(where, All):
        for part in where.parts:
            yield from _flat(part)
    else:
        yield where


def _in_asked_unit(parts: Iterable[Test | Some], row: Row) -> Row:
    for part in parts:
        if isinstance(part, Test) and (part.property, part.operator) == ("unit", "eq") and part.value:
            value, unit = row.get("value"), row.get("unit")
            if isinstance(value, int | float) and isinstance(unit, str) and unit != part.value:
                found = converted(value, unit, part.value)
                if found is not None:
                    return {**row, "value": float(f"{found:.12g}"), "unit": part.value}
            return row
    return row


def _holds(model: Model, test: Test, row: Row) -> bool:
    if test.operator in _OPPOSITE:
        return not _holds(model, Test(test.property, test.kind, _OPPOSITE[test.operator], test.value), row)
    value = _stored(test.kind, row.get(test.property))
    values = value if isinstance(value, list) else [value]
    if test.operator in ("eq", "inq"):
        asked = test.value if test.operator == "inq" else (test.value,)
        if model.name == "Technique" and _is_narrower(test.property, asked, row):
            return True
        return any(_equal(each, one) for each in values for one in asked)
    if model.name == "Technique" and test.operator == "has" and _is_narrower(test.property, (test.value,), row):
        return True
    return any(_compares(test, each) for each in values if each is not None)


def _stored(kind: Kind, value: Any) -> Any:
    if kind == "date" and isinstance(value, str):
        try:
            return date(value)
        except ValueError:
            return None
    return value


def _is_narrower(property_: str, asked: Iterable[Any], row: Row) -> bool:
    wanted: set[str] = set()
    for one in asked:
        if isinstance(one, str):
            wanted |= _wanted(one, property_ in _TECHNIQUE_IDS)
    return bool(wanted) and any(_id(row.get(name)) in wanted for name in _TECHNIQUE_IDS)


@lru_cache(maxsize=1024)
def _wanted(text: str, is_id: bool) -> frozenset[str]:
    names = (_id(text),) if is_id else techniques.find(text)
    return frozenset(below for name in names if name for below in techniques.narrower(name))


@lru_cache(maxsize=4096)
def _id(spelling: str | None) -> str:
    try:
        return techniques.canonical(spelling or "")
    except InvalidRequest:
        return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(stored: Any, asked: Any) -> bool:
    if _is_number(stored) and _is_number(asked):
        return math.isclose(stored, asked, rel_tol=1e-9)
    return type(stored) is type(asked) and bool(stored == asked)


def _compares(test: Test, stored: Any) -> bool:
    asked = test.value
    if test.operator == "between":
        return _ordered("gte", stored, asked[0]) and _ordered("lte", stored, asked[1])
    if test.operator in ("has", "like", "ilike"):
        if not isinstance(stored, str):
            return False
        if test.operator == "has":
            return asked.casefold() in stored.casefold()
        return _like(asked, test.operator == "ilike", stored)
    return _ordered(test.operator, stored, asked)


def _ordered(operator: str, stored: Any, asked: Any) -> bool:
    alike = any(isinstance(stored, kind) and isinstance(asked, kind) for kind in (str, datetime))
    if not alike and not (_is_number(stored) and _is_number(asked)):
        return False
    if _equal(stored, asked):
        return operator in ("lte", "gte")
    return bool(stored < asked) == (operator in ("lt", "lte"))


def _like(pattern: str, fold: bool, text: str) -> bool:
    """LoopBack's memory connector: `%` is any text, `_` any character, found anywhere; each part once, leftmost."""
    at = 0
    for part in _like_parts(pattern, fold):
        found = part.search(text, at)
        if found is None:
            return False
        at = found.end()
    return True


@lru_cache(maxsize=256)
def _like_parts(pattern: str, fold: bool) -> tuple[re.Pattern[str], ...]:
    flags = re.DOTALL | (re.IGNORECASE if fold else 0)
    parts = ("".join("." if char == "_" else re.escape(char) for char in part) for part in pattern.split("%"))
    return tuple(re.compile(part, flags) for part in parts if part)
