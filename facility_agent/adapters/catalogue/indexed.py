"""An index of datasets in SQLite: the conditions that every such index shares, and positions in the order of pages."""

from __future__ import annotations

from typing import Any

from shared.catalogue import SearchQuery
from shared.limits import LIMITS

NO_TIME = 1e300
"""The rank of a dataset without a time: others have their time, negated, so that the newest come first."""
WORDS = """
create virtual table if not exists words using fts5 (text, sample, title, tokenize = "unicode61 tokenchars '-_.'");
"""
"""Under the `id` of their dataset's row: by anything else a row's words are found only by reading all. The title's own words
stand beside those of the text where an index tells which dataset matches best."""


def rank(started: float | None) -> float:
    """Where a dataset stands; ties are sorted by pid."""
    return -started if started is not None else NO_TIME


def narrowed(query: SearchQuery) -> tuple[list[str], list[Any]]:
    """SQL conditions on columns `instrument`, `started` and `id`, and their values: instruments, dates, text and sample."""
    where, values = list[str](), list[Any]()
    if query.instruments:
        where.append(f"instrument in ({marks(query.instruments)})")
        values += query.instruments
    if query.since is not None:
        where.append("started >= ?")
        values.append(query.since)
    if query.until is not None:
        where.append("started <= ?")
        values.append(query.until)
    for column, said in (("text", query.text), ("sample", query.sample)):
        words = _beginnings(said)
        if words:
            where.append("id in (select rowid from words where words match ?)")
            values.append(f"{column}: (" + " AND ".join(words) + ")")
    return where, values


def misses(query: SearchQuery) -> tuple[str, list[Any]]:
    """SQL for how many of the words are not in a title, and its values: the fewer, the better a dataset matches."""
    words = list(dict.fromkeys(_beginnings(query.text)))[: LIMITS.judged_words]
    each = "(id not in (select rowid from words where words match ?))"
    return "+".join(["0", *[each] * len(words)]), [f"title: {word}" for word in words]


def _beginnings(said: str) -> list[str]:
    """Words as FTS5 looks for their beginnings."""
    return ['"' + word.replace('"', '""') + '"*' for word in said.replace("\0", " ").split()]


def marks(values: Any) -> str:
    """A question mark for each."""
    return ",".join("?" * len(values))
