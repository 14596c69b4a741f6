"""Units of parameters. A unit that pint does not know is compared as text."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from pint import UnitRegistry
from pint.errors import PintError

_WORD = r"[A-Za-zµμΩÅ°%]{1,24}(?:(?:\*\*|\^)?-?[1-9])?"
_SHAPE = re.compile(rf"\s*(?:1\s*/\s*)?{_WORD}(?:\s*[*/.· ]\s*{_WORD}){{0,7}}\s*")
LONGEST = 64


@lru_cache(maxsize=1)
def _registry() -> UnitRegistry[Any]:
    return UnitRegistry(autoconvert_offset_to_baseunit=True)


@lru_cache(maxsize=1024)
def _factors(source: str, target: str) -> tuple[float, float] | None:
    """(scale, offset) from source to target, None when either is unknown or they measure different things."""
    if any(len(unit) > LONGEST or not _SHAPE.fullmatch(unit) for unit in (source, target)):
        return None
    # A unit is an expression to pint: only products of words with one-digit exponents come here.
    try:
        units = _registry()
        parsed = [units.parse_units(unit.replace("·", "*").replace("°C", "degC")) for unit in (source, target)]
        zero, one = (float(units.Quantity(at, parsed[0]).to(parsed[1]).magnitude) for at in (0.0, 1.0))
    except (PintError, ValueError, TypeError, AttributeError, ArithmeticError, AssertionError):
        return None
    return one - zero, zero


def converted(value: float, source: str, target: str) -> float | None:
    """The value in the target unit, None when it cannot be said in it."""
    if source == target:
        return value
    factors = _factors(source, target)
    return None if factors is None else value * factors[0] + factors[1]
