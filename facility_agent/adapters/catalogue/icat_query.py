"""Text in ICAT's query language: literals, conditions and whole queries. Pure; nothing else writes such text.

The language: icat.server's manual, "query syntax"; it is JPQL with `INCLUDE` and `LIMIT`, without parameters over REST.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from shared.errors import InvalidRequest

ROW = "\0"
"""The alias of the rows that are selected, wherever it is not known yet; no literal can have it."""


@dataclass(frozen=True, slots=True)
class Source:
    """Rows of one entity: its alias, the joins that follow, and a condition, empty for none."""

    alias: str = "o"
    joins: str = ""
    where: str = ""


def quoted(text: str) -> str:
    """A literal that means `text`, whatever is in it. Raises InvalidRequest for what no database keeps."""
    if ROW in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise InvalidRequest("The text has characters that the catalogue cannot hold.")
    return "'" + text.replace("'", "''") + "'"


def like(word: str) -> str:
    r"""A pattern that is met where `word` occurs; `%`, `_` and `\\` are themselves."""
    escaped = word.lower().replace("!", "!!").replace("%", "!%").replace("_", "!_")
    # Some databases take a backslash for an escape unless another one is named.
    return f"LIKE {quoted(f'%{escaped}%')}" + (" ESCAPE '!'" if escaped != word.lower() or "\\" in word else "")


def one_of(values: Iterable[str | int]) -> str:
    """`IN (…)` over texts or whole numbers."""
    return f"IN ({', '.join(quoted(v) if isinstance(v, str) else str(int(v)) for v in values)})"


def moment(seconds: float, zone: ZoneInfo, *, up: bool) -> str:
    """A timestamp in the server's zone; it knows whole seconds, so the next or the last one is taken.

    Raises InvalidRequest for a time that no calendar has.
    """
    try:
        whole = math.ceil(seconds) if up else math.floor(seconds)
        return f"{{ts {datetime.fromtimestamp(whole, zone):%Y-%m-%d %H:%M:%S}}}"
    except (ValueError, OverflowError, OSError):
        raise InvalidRequest("The date is none that a calendar has.") from None


def select(
    entity: str, source: Source, conditions: Iterable[str] = (), *, joins: str = "", order: str = "",
    include: Iterable[str] = (), limit: tuple[int, int] | None = None, what: str = "", count: bool = False,
) -> str:  # fmt: skip
    """A whole query for distinct rows of `source`, or their `count`; `ROW` in `joins`, `conditions`, `order`, `what` is its alias."""
    wheres = [f"({source.where})"] * bool(source.where) + [*conditions]
    said = f"COUNT(DISTINCT {ROW})" if count else f"DISTINCT {what or ROW}"
    parts = [f"SELECT {said} FROM {entity} {ROW}", source.joins, joins]  # noqa: S608 - literals come from `quoted` alone
    if wheres:
        parts.append("WHERE " + " AND ".join(wheres))
    if order:
        parts.append("ORDER BY " + order)
    if paths := ", ".join(f"{ROW}.{path}" for path in include):
        parts.append("INCLUDE " + paths)
    if limit is not None:
        parts.append(f"LIMIT {limit[0]}, {limit[1]}")
    return " ".join(part for part in parts if part).replace(ROW, source.alias)
